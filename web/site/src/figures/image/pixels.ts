// Pictures as arrays [channels, height, width], drawn pixel by pixel.

export interface Shape {
  channels: number;
  height: number;
  width: number;
}

export const pixelCount = (s: Shape): number => s.height * s.width;

/** How a value, 0 to 1, becomes a color, 0 to 255 each. */
export type Ramp = (share: number) => readonly [number, number, number];

/** Perceptually even and safe for color-blind readers: stops of cividis (Nuñez, Anderton and Renslow 2018). */
const CIVIDIS = [
  [0, 34, 78],
  [53, 69, 108],
  [102, 105, 112],
  [148, 142, 119],
  [200, 184, 102],
  [254, 232, 56],
] as const;

export const cividis: Ramp = (t) => {
  const at = Math.max(0, Math.min(1, t)) * (CIVIDIS.length - 1);
  const k = Math.min(CIVIDIS.length - 2, Math.floor(at));
  const [a, b] = [CIVIDIS[k] ?? CIVIDIS[0], CIVIDIS[k + 1] ?? CIVIDIS[0]];
  const mix = (i: 0 | 1 | 2): number => a[i] + (at - k) * (b[i] - a[i]);
  return [mix(0), mix(1), mix(2)];
};

export interface Drawing {
  shape: Shape;
  /** Values that become 0 and 1 on the ramp. */
  range: readonly [number, number];
  ramp?: Ramp;
  /** Pixels with 0 here are hatched: they are missing. Length: pixels, or channels times pixels. */
  mask?: Float32Array | undefined;
  /** Colors of the hatching. */
  hatch?: readonly [string, string];
}

/** Fills `canvas` with `values`, one canvas pixel a picture pixel (CSS scales it up unsmoothed), more where missing ones are hatched. */
export function drawPicture(canvas: HTMLCanvasElement, values: ArrayLike<number>, drawing: Drawing): void {
  const { shape, range, ramp, mask } = drawing;
  const [low, high] = range;
  const size = pixelCount(shape);
  const image = new ImageData(shape.width, shape.height);
  // Gray takes one plane for all three colors.
  const step = shape.channels === 3 ? size : 0;
  const share = (i: number): number => Math.max(0, Math.min(1, ((values[i] ?? 0) - low) / (high - low || 1)));
  for (let i = 0; i < size; i += 1) {
    const mapped = ramp?.(share(i));
    for (let c = 0; c < 3; c += 1) image.data[4 * i + c] = mapped?.[c] ?? 255 * share(i + c * step);
    image.data[4 * i + 3] = 255;
  }
  paint(canvas, image, mask ? { mask, colors: drawing.hatch ?? ['#e9eef2', '#9aa8b4'] } : undefined);
}

/** Side of the canvas where it is hatched: enough for diagonals to look straight. */
const FINE = 640;

function paint(canvas: HTMLCanvasElement, image: ImageData, hatched?: { mask: Float32Array; colors: readonly [string, string] }): void {
  const zoom = hatched ? Math.max(8, Math.round(FINE / image.width)) : 1;
  Object.assign(canvas, { width: image.width * zoom, height: image.height * zoom });
  const g = canvas.getContext('2d');
  if (!g) return;
  if (!hatched) {
    g.putImageData(image, 0, 0);
    return;
  }
  const small = new OffscreenCanvas(image.width, image.height);
  small.getContext('2d')?.putImageData(image, 0, 0);
  g.imageSmoothingEnabled = false;
  g.drawImage(small, 0, 0, canvas.width, canvas.height);
  g.fillStyle = g.createPattern(hatching(zoom, hatched.colors), 'repeat') ?? hatched.colors[0];
  g.beginPath();
  for (let i = 0; i < image.width * image.height; i += 1) {
    if ((hatched.mask[i] ?? 1) === 0) g.rect((i % image.width) * zoom, Math.floor(i / image.width) * zoom, zoom, zoom);
  }
  g.fill();
}

/** A missing pixel: pale with a diagonal, so that it is never taken for a gray value. */
function hatching(size: number, [ground, stroke]: readonly [string, string]): OffscreenCanvas {
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

/** Mean and standard deviation over draws [draws, d]. */
export function moments(draws: Float32Array, d: number): Moments {
  const n = draws.length / d;
  const mean = new Float32Array(d);
  const std = new Float32Array(d);
  for (let i = 0; i < draws.length; i += 1) mean[i % d] = (mean[i % d] ?? 0) + (draws[i] ?? 0) / n;
  for (let i = 0; i < draws.length; i += 1) std[i % d] = (std[i % d] ?? 0) + ((draws[i] ?? 0) - (mean[i % d] ?? 0)) ** 2 / Math.max(1, n - 1);
  return { mean, std: std.map(Math.sqrt) };
}

/** Largest standard deviation over the channels, a value for each pixel. */
export function perPixel(std: Float32Array, shape: Shape): Float32Array {
  const size = pixelCount(shape);
  return Float32Array.from({ length: size }, (_, i) => Math.max(...Array.from({ length: shape.channels }, (_, c) => std[i + c * size] ?? 0)));
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
