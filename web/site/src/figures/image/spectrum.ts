// Frequencies of pictures. An observation holds a plane of real parts and a plane of imaginary parts for each
// channel, with frequency 0 in the middle of a plane, as the core's `fourier-mask` has it.
import { type Shape, pixelCount } from './pixels';

/** Logarithm to base 10 of the magnitudes of `y`, over all channels, [height, width]. */
export function logMagnitudes(y: Float32Array, shape: Shape): Float32Array {
  const size = pixelCount(shape);
  const power = new Float32Array(size);
  for (let i = 0; i < y.length; i += 1) power[i % size] = (power[i % size] ?? 0) + (y[i] ?? 0) ** 2;
  return power.map((p) => Math.log10(p + 1e-12) / 2);
}

interface Waves {
  cos: Float64Array;
  sin: Float64Array;
}

/** Cosines and sines of the angles 2π (k - n/2) (i - n/2) / n, divided by √n, [n, n]. */
function wavesOf(n: number): Waves {
  const middle = Math.floor(n / 2);
  const angle = (at: number): number => (2 * Math.PI * (((Math.floor(at / n) - middle) * ((at % n) - middle)) % n)) / n;
  const table = (f: (angle: number) => number): Float64Array => Float64Array.from({ length: n * n }, (_, at) => f(angle(at)) / Math.sqrt(n));
  return { cos: table(Math.cos), sin: table(Math.sin) };
}

const known = new Map<number, Waves>();

function waves(n: number): Waves {
  const found = known.get(n) ?? wavesOf(n);
  known.set(n, found);
  return found;
}

/**
 * The picture whose frequencies are `y`, [channels, height, width]: that of missing frequencies at 0. It takes
 * height + width products per value, some milliseconds for 64 by 64 pixels.
 */
export function inverse(y: Float32Array, shape: Shape): Float32Array {
  const size = pixelCount(shape);
  const out = new Float32Array(shape.channels * size);
  for (let c = 0; c < shape.channels; c += 1) {
    const from = 2 * c * size;
    plane(y.subarray(from, from + size), y.subarray(from + size, from + 2 * size), shape, out.subarray(c * size, (c + 1) * size));
  }
  return out;
}

/** Real part of the inverse transform of one plane: across the rows, then down the columns. */
function plane(re: Float32Array, im: Float32Array, { height, width }: Shape, out: Float32Array): void {
  const [across, down] = [waves(width), waves(height)];
  const lines = { re: new Float64Array(re.length), im: new Float64Array(re.length) };
  for (let at = 0; at < re.length; at += 1) {
    const [row, wave] = [at - (at % width), (at % width) * width];
    for (let l = 0; l < width; l += 1) {
      const [p, q] = [re[row + l] as number, im[row + l] as number];
      const [cos, sin] = [across.cos[wave + l] as number, across.sin[wave + l] as number];
      lines.re[at] = (lines.re[at] as number) + p * cos - q * sin;
      lines.im[at] = (lines.im[at] as number) + q * cos + p * sin;
    }
  }
  for (let at = 0; at < out.length; at += 1) {
    const [column, wave] = [at % width, Math.floor(at / width) * height];
    let sum = 0;
    for (let k = 0; k < height; k += 1) {
      sum += (lines.re[k * width + column] as number) * (down.cos[wave + k] as number) - (lines.im[k * width + column] as number) * (down.sin[wave + k] as number);
    }
    out[at] = sum;
  }
}
