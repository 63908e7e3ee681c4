// Pictures in a file of their own: a safetensors file with the tensor x of bytes, [n, height, width] or
// [n, channels, height, width], 0 for black and 255 for white.
import { type Shape, pixelCount } from '../figures/image/pixels';
import { readSafetensors } from './tensors';

/** Reads the pictures of shape `shape` at `src`, with values in [-2, 2]. */
export async function readPictures(src: URL, shape: Shape, signal: AbortSignal): Promise<Float32Array[]> {
  const response = await fetch(src, { signal });
  if (!response.ok) throw new Error(`${src.pathname}: the server answered ${response.status}`);
  const d = shape.channels * pixelCount(shape);
  const bytes = readSafetensors(src.pathname, await response.arrayBuffer(), ['x']).get('x')?.values;
  if (!(bytes instanceof Uint8Array) || bytes.length === 0 || bytes.length % d !== 0) {
    throw new Error(`${src.pathname}: expected a safetensors file with pictures x of ${shape.height} × ${shape.width} bytes`);
  }
  return Array.from({ length: bytes.length / d }, (_, i) => Float32Array.from(bytes.subarray(i * d, (i + 1) * d), (v) => (4 * v) / 255 - 2));
}
