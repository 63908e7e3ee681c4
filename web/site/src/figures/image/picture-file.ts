// Pictures in a file of their own: a safetensors file with the tensor x of bytes, [n, height, width] or
// [n, channels, height, width], 0 for black and 255 for white.
import { type Shape, pixelCount } from './pixels';

/** Reads the pictures of shape `shape` at `src`, with values in [-2, 2]. */
export async function readPictures(src: URL, shape: Shape, signal: AbortSignal): Promise<Float32Array[]> {
  const response = await fetch(src, { signal });
  if (!response.ok) throw new Error(`${src.pathname}: the server answered ${response.status}`);
  const d = shape.channels * pixelCount(shape);
  const bytes = tensor(await response.arrayBuffer());
  if (!bytes || bytes.length === 0 || bytes.length % d !== 0) {
    throw new Error(`${src.pathname}: expected a safetensors file with pictures x of ${shape.height} × ${shape.width} bytes`);
  }
  return Array.from({ length: bytes.length / d }, (_, i) => Float32Array.from(bytes.subarray(i * d, (i + 1) * d), (v) => (4 * v) / 255 - 2));
}

/** The bytes of tensor x; a file is the length of its header, the header as JSON and the tensors. */
function tensor(file: ArrayBuffer): Uint8Array | undefined {
  try {
    const length = Number(new DataView(file).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, length))) as Record<string, { dtype?: string; data_offsets?: [number, number] }>;
    const { dtype, data_offsets: at } = header.x ?? {};
    return dtype === 'U8' && at ? new Uint8Array(file, 8 + length + at[0], at[1] - at[0]) : undefined;
  } catch {
    return undefined;
  }
}
