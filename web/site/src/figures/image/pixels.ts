// Pictures as arrays [channels, height, width], drawn pixel by pixel.
import type { ColorMap } from '../../lib/palette';

export interface Shape {
  channels: number;
  height: number;
  width: number;
}

export const pixelCount = (s: Shape): number => s.height * s.width;

/** Which pixels are hatched because they are hidden, and in which colors. */
export interface Hatching {
  /** 0 where the pixel is hidden, [height, width]. */
  mask: Float32Array;
  ground: string;
  stroke: string;
}

export interface Drawing {
  shape: Shape;
  /** Values drawn as the two ends of the color map. */
  range: readonly [number, number];
  /** Color map of a single channel; by default values are gray levels or the three colors. */
  map?: ColorMap;
  hatching?: Hatching;
}

/**
 * Fills `canvas` with `values`: one canvas pixel per picture pixel, which CSS scales up unsmoothed, and more
 * with hatching.
 */
export function drawPicture(canvas: HTMLCanvasElement, values: ArrayLike<number>, drawing: Drawing): void {
  const { shape, range, map, hatching } = drawing;
  const [low, high] = range;
  const size = pixelCount(shape);
  const image = new ImageData(shape.width, shape.height);
  // A gray picture has one plane for all three colors.
  const step = shape.channels === 3 ? size : 0;
  const share = (i: number): number => Math.max(0, Math.min(1, ((values[i] ?? 0) - low) / (high - low || 1)));
  for (let i = 0; i < size; i += 1) {
    const mapped = map?.(share(i));
    for (let c = 0; c < 3; c += 1) image.data[4 * i + c] = mapped?.[c] ?? 255 * share(i + c * step);
    image.data[4 * i + 3] = 255;
  }
  paint(canvas, image, hatching);
}

/** Side of a hatched canvas in pixels, large enough for straight diagonals. */
const FINE = 640;

function paint(canvas: HTMLCanvasElement, image: ImageData, hatching: Hatching | undefined): void {
  const zoom = hatching ? Math.max(8, Math.round(FINE / image.width)) : 1;
  Object.assign(canvas, { width: image.width * zoom, height: image.height * zoom });
  const g = canvas.getContext('2d');
  if (!g) return;
  if (!hatching) {
    g.putImageData(image, 0, 0);
    return;
  }
  const small = new OffscreenCanvas(image.width, image.height);
  small.getContext('2d')?.putImageData(image, 0, 0);
  g.imageSmoothingEnabled = false;
  g.drawImage(small, 0, 0, canvas.width, canvas.height);
  g.fillStyle = g.createPattern(hatchedPixel(zoom, hatching), 'repeat') ?? hatching.ground;
  g.beginPath();
  for (let i = 0; i < image.width * image.height; i += 1) {
    if ((hatching.mask[i] ?? 1) === 0) g.rect((i % image.width) * zoom, Math.floor(i / image.width) * zoom, zoom, zoom);
  }
  g.fill();
}

/** A hidden pixel, drawn with a diagonal so that it is never mistaken for a gray value. */
function hatchedPixel(size: number, { ground, stroke }: Hatching): OffscreenCanvas {
  const tile = new OffscreenCanvas(size, size);
  const g = tile.getContext('2d');
  if (!g) return tile;
  g.fillStyle = ground;
  g.fillRect(0, 0, size, size);
  g.strokeStyle = stroke;
  g.lineWidth = Math.max(1, size / 12);
  g.beginPath();
  g.moveTo(0, size);
  g.lineTo(size, 0);
  g.stroke();
  return tile;
}

export interface Moments {
  mean: Float32Array;
  std: Float32Array;
}

/** Mean and standard deviation over draws [n, d], each of length d. */
export function moments(draws: Float32Array, d: number): Moments {
  const n = draws.length / d;
  const mean = new Float32Array(d);
  const std = new Float32Array(d);
  for (let i = 0; i < draws.length; i += 1) mean[i % d] = (mean[i % d] ?? 0) + (draws[i] ?? 0) / n;
  for (let i = 0; i < draws.length; i += 1) std[i % d] = (std[i % d] ?? 0) + ((draws[i] ?? 0) - (mean[i % d] ?? 0)) ** 2 / Math.max(1, n - 1);
  return { mean, std: std.map(Math.sqrt) };
}

/** Largest standard deviation over the channels, one value per pixel. */
export function perPixel(std: Float32Array, shape: Shape): Float32Array {
  const size = pixelCount(shape);
  return Float32Array.from({ length: size }, (_, i) => Math.max(...Array.from({ length: shape.channels }, (_, c) => std[i + c * size] ?? 0)));
}

/** Peak signal-to-noise ratio of `values` in dB, for pictures with values in [-2, 2]. */
export function psnr(values: Float32Array, truth: Float32Array): number {
  const sum = values.reduce((total, v, i) => total + (v - (truth[i] ?? 0)) ** 2, 0);
  return 10 * Math.log10((16 * values.length) / sum);
}

/** Smallest and largest value over all of `values`. */
export function rangeOf(values: Float32Array): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const v of values) {
    low = Math.min(low, v);
    high = Math.max(high, v);
  }
  return [low, high];
}
