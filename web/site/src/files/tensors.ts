// Tensors in files of the reader's own: safetensors, and npz, the archive of NumPy.

export interface Tensor {
  shape: readonly number[];
  values: Float32Array | Uint8Array;
}

const MOST_BYTES = 400_000_000;

/** The bytes of `file`; throws where it is larger than a page should hold. */
export async function contents(file: File): Promise<ArrayBuffer> {
  if (file.size > MOST_BYTES) throw new Error(`${file.name}: expected at most ${MOST_BYTES / 1e6} MB, found ${Math.round(file.size / 1e6)} MB`);
  return file.arrayBuffer();
}

const damaged = (name: string): Error => new Error(`${name}: the file is damaged or not complete`);

/** Numbers of `bytes`; undefined for a type that is none of these. */
function numbers(type: string, bytes: Uint8Array<ArrayBuffer>): Float32Array | Uint8Array | undefined {
  // A view needs an aligned beginning, which a part of a file has not.
  const copy = (): ArrayBuffer => bytes.slice().buffer;
  switch (type) {
    case 'F32':
    case '<f4':
      return new Float32Array(copy());
    case 'F64':
    case '<f8':
      return Float32Array.from(new Float64Array(copy()));
    case 'U8':
    case 'BOOL':
    case '|u1':
    case '|b1':
      return bytes;
    default:
      return undefined;
  }
}

interface Entry {
  dtype?: string;
  shape?: number[];
  data_offsets?: [number, number];
}

/** The header of a safetensors file: its tensors by name, and `__metadata__`. */
export function headerOf(file: ArrayBuffer): { header: Record<string, Entry>; at: number } | undefined {
  try {
    const length = Number(new DataView(file).getBigUint64(0, true));
    return { header: JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, length))) as Record<string, Entry>, at: 8 + length };
  } catch {
    return undefined;
  }
}

/** The tensors of a safetensors file that `wanted` names and that it has. */
export function readSafetensors(name: string, file: ArrayBuffer, wanted: readonly string[]): Map<string, Tensor> {
  const found = headerOf(file);
  if (!found) throw damaged(name);
  const tensors = new Map<string, Tensor>();
  for (const key of wanted) {
    const { dtype = '', shape, data_offsets: place } = found.header[key] ?? {};
    if (!shape || !place) continue;
    if (found.at + place[1] > file.byteLength || place[1] < place[0]) throw damaged(name);
    const values = numbers(dtype, new Uint8Array(file, found.at + place[0], place[1] - place[0]));
    if (!values) throw new Error(`${name}: expected ${key} of F32, F64 or U8, found ${dtype}`);
    tensors.set(key, { shape, values });
  }
  return tensors;
}

/** The arrays of an npz file that `wanted` names and that it has. */
export async function readNpz(name: string, file: ArrayBuffer, wanted: readonly string[]): Promise<Map<string, Tensor>> {
  const tensors = new Map<string, Tensor>();
  for (const { path, method, from, to } of members(name, file)) {
    const key = path.replace(/\.npy$/, '');
    if (!wanted.includes(key)) continue;
    const packed = new Uint8Array(file, from, to - from);
    const bytes = method === 0 ? packed : await inflated(packed).catch(() => undefined);
    if (!bytes || (method !== 0 && method !== 8)) throw damaged(name);
    tensors.set(key, npy(name, key, bytes));
  }
  return tensors;
}

interface Member {
  path: string;
  method: number;
  from: number;
  to: number;
}

/** Members of a zip archive, as the directory at its end lists them. */
function members(name: string, file: ArrayBuffer): Member[] {
  const view = new DataView(file);
  const text = new TextDecoder();
  try {
    let end = file.byteLength - 22;
    while (view.getUint32(end, true) !== 0x06054b50) end -= 1;
    let at = view.getUint32(end + 16, true);
    return Array.from({ length: view.getUint16(end + 10, true) }, () => {
      const [size, path, extra, comment, local] = [view.getUint32(at + 20, true), view.getUint16(at + 28, true), view.getUint16(at + 30, true), view.getUint16(at + 32, true), view.getUint32(at + 42, true)];
      const from = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
      const member = { path: text.decode(new Uint8Array(file, at + 46, path)), method: view.getUint16(at + 10, true), from, to: from + size };
      at += 46 + path + extra + comment;
      return member;
    });
  } catch {
    throw damaged(name);
  }
}

async function inflated(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** An array of NumPy: a magic word, the length of the header, the header as Python writes it, and the values. */
function npy(name: string, key: string, bytes: Uint8Array<ArrayBuffer>): Tensor {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (bytes.length < 12 || bytes[0] !== 0x93) throw damaged(name);
  const [long, at] = bytes[6] === 1 ? [view.getUint16(8, true), 10] : [view.getUint32(8, true), 12];
  const header = new TextDecoder().decode(bytes.subarray(at, at + long));
  const type = /'descr': *'([^']*)'/.exec(header)?.[1] ?? '';
  const shape = (/'shape': *\(([^)]*)\)/.exec(header)?.[1] ?? '').split(',').filter((s) => s.trim()).map(Number);
  if (/'fortran_order': *True/.test(header)) throw new Error(`${name}: expected ${key} in C order; save np.ascontiguousarray(${key})`);
  const values = numbers(type, bytes.subarray(at + long));
  if (!values) throw new Error(`${name}: expected ${key} of float32, float64 or uint8, found ${type}`);
  if (values.length !== shape.reduce((n, s) => n * s, 1)) throw damaged(name);
  return { shape, values };
}
