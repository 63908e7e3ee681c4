// A picture of the reader's own as a signal of the model. It is read here and sent nowhere.
import { type Shape, pixelCount } from '../figures/image/pixels';

/** More pixels than this would fill the memory of a phone. */
const MOST_PIXELS = 40e6;
/** Canvas pixels that are averaged for a pixel of the model, in each direction. */
const FINE = 8;

export interface OwnPicture {
  /** Values in [-2, 2], [channels, height, width]; 0 where the picture is transparent. */
  x: Float32Array;
  /** 0 where the picture is transparent and 1 elsewhere, [height, width]; undefined where it is nowhere. */
  known: Float32Array | undefined;
}

/** Width and height as a PNG or JPEG states them in its beginning. */
export function statedSize(bytes: Uint8Array): [number, number] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes[0] === 0x89) return bytes.length >= 24 ? [view.getUint32(16), view.getUint32(20)] : undefined;
  // A JPEG is a sequence of segments; the size is in the one that begins a frame.
  for (let at = 2; at + 9 < bytes.length && bytes[at] === 0xff; at += 2 + view.getUint16(at + 2)) {
    const marker = bytes[at + 1] ?? 0;
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) return [view.getUint16(at + 7), view.getUint16(at + 5)];
  }
  return undefined;
}

/** Reads `file`, cuts its middle to the sides of `shape`, and scales it down; throws with one sentence. */
export async function readPicture(file: File, shape: Shape): Promise<OwnPicture> {
  const [width, height] = statedSize(new Uint8Array(await file.slice(0, 1 << 20).arrayBuffer())) ?? [0, 0];
  if (width * height > MOST_PIXELS) {
    throw new Error(`${file.name}: expected at most ${MOST_PIXELS / 1e6} megapixels, found ${width} × ${height}; make the picture smaller first`);
  }
  const picture = await createImageBitmap(file).catch(() => {
    throw new Error(`${file.name}: the picture cannot be decoded; it is damaged or not complete`);
  });
  const data = scaled(picture, shape);
  picture.close();
  return averaged(data, shape);
}

/** The middle of `picture` with FINE times the pixels of `shape` in each direction. */
function scaled(picture: ImageBitmap, shape: Shape): ImageData {
  const [w, h] = [shape.width * FINE, shape.height * FINE];
  const canvas = new OffscreenCanvas(w, h);
  const g = canvas.getContext('2d', { willReadFrequently: true });
  if (!g) throw new Error('this browser offers no 2-D canvas');
  const zoom = Math.min(picture.width / w, picture.height / h);
  g.imageSmoothingQuality = 'high';
  g.drawImage(picture, (picture.width - w * zoom) / 2, (picture.height - h * zoom) / 2, w * zoom, h * zoom, 0, 0, w, h);
  return g.getImageData(0, 0, w, h);
}

/** Weights of red, green and blue in a gray value (ITU-R BT.709). */
const GRAY = [0.2126, 0.7152, 0.0722] as const;

function averaged({ data, width }: ImageData, shape: Shape): OwnPicture {
  const size = pixelCount(shape);
  const x = new Float32Array(shape.channels * size);
  const known = new Float32Array(size);
  for (let i = 0; i < size; i += 1) {
    const sums = [0, 0, 0, 0] as [number, number, number, number];
    for (let k = 0; k < FINE * FINE; k += 1) {
      const [row, column] = [Math.floor(i / shape.width) * FINE + Math.floor(k / FINE), (i % shape.width) * FINE + (k % FINE)];
      const at = 4 * (row * width + column);
      const opaque = (data[at + 3] ?? 0) / 255;
      for (let c = 0; c < 3; c += 1) sums[c] = (sums[c] ?? 0) + opaque * (data[at + c] ?? 0);
      sums[3] += opaque;
    }
    known[i] = sums[3] >= (FINE * FINE) / 2 ? 1 : 0;
    if (!known[i]) continue;
    const colors = [sums[0], sums[1], sums[2]].map((sum) => sum / sums[3]) as [number, number, number];
    const gray = GRAY.reduce((sum, weight, c) => sum + weight * (colors[c] ?? 0), 0);
    for (let c = 0; c < shape.channels; c += 1) x[c * size + i] = (4 * (shape.channels === 3 ? (colors[c] ?? 0) : gray)) / 255 - 2;
  }
  if (!known.includes(1)) throw new Error('the picture is transparent everywhere');
  return { x, known: known.includes(0) ? known : undefined };
}
