// Observations of the reader's own, as `diffem corrupt` writes them: y [n, m], a [n, k] where the operator has
// parameters, and x [n, d] where the signals are known.
import type { Example } from 'diffem';
import { type Tensor, contents, readNpz, readSafetensors } from './tensors';

export interface Lengths {
  d: number;
  m: number;
  k: number;
}

const MOST = 1000;

/** Reads the observations of a channel with these lengths; throws with one sentence. */
export async function readObservations(file: File, { d, m, k }: Lengths): Promise<Example[]> {
  const [bytes, wanted] = [await contents(file), ['y', 'a', 'x']];
  const tensors = file.name.endsWith('.npz') ? await readNpz(file.name, bytes, wanted) : readSafetensors(file.name, bytes, wanted);
  const rows = (name: string, length: number): Float32Array[] | undefined => rowsOf(file.name, name, tensors.get(name), length);
  const [y, a, x] = [rows('y', m), k ? rows('a', k) : undefined, rows('x', d)];
  if (!y?.length) throw new Error(`${file.name}: expected observations y of shape [n, ${m}]${k ? ` and a of shape [n, ${k}]` : ''}, found no y`);
  if (k && a?.length !== y.length) throw new Error(`${file.name}: expected a of shape [${y.length}, ${k}] beside y, found ${a ? `${a.length} rows` : 'no a'}`);
  if (x && x.length !== y.length) throw new Error(`${file.name}: expected x of ${y.length} rows as y has, found ${x.length}`);
  return y.slice(0, MOST).map((row, i) => ({ y: row, ...(a?.[i] ? { a: a[i] } : {}), ...(x?.[i] ? { x: x[i] } : {}) }));
}

function rowsOf(file: string, name: string, tensor: Tensor | undefined, length: number): Float32Array[] | undefined {
  if (!tensor) return undefined;
  const [n = 0, ...rest] = tensor.shape;
  // Images may keep their axes.
  const each = rest.reduce((product, s) => product * s, 1);
  if (tensor.shape.length < 2 || each !== length || n === 0) {
    throw new Error(`${file}: expected ${name} of shape [n, ${length}], found [${tensor.shape.join(', ')}]`);
  }
  return Array.from({ length: n }, (_, i) => Float32Array.from(tensor.values.subarray(i * length, (i + 1) * length)));
}
