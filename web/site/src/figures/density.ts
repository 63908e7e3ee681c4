// Posterior densities along the line of an observation: of draws, and of the exact posterior under the true
// prior.
import type { DataSet } from '../session/session';
import { rowOf } from './manifold-view';

/** Bandwidth of both kernel density estimates, in units of the plane. */
const WIDTH = 0.1;
const REACH = 2.6;
const GRID = 105;

type Curve = (readonly [number, number])[];

/** Grid cells beyond which the kernel is negligible: five bandwidths. */
const FAR = Math.ceil((5 * WIDTH * (GRID - 1)) / (2 * REACH));

/** Kernel density estimate of weighted positions, on a grid along the line. */
function density(positions: readonly number[], weights: readonly number[]): Curve {
  const total = weights.reduce((s, w) => s + w, 0);
  const scale = total > 0 ? 1 / (total * WIDTH * Math.sqrt(2 * Math.PI)) : 0;
  const sums = new Float64Array(GRID);
  positions.forEach((p, j) => {
    const near = Math.round(((p + REACH) / (2 * REACH)) * (GRID - 1));
    const last = Math.min(GRID - 1, near + FAR);
    for (let k = Math.max(0, near - FAR); k <= last; k += 1) sums[k] = (sums[k] ?? 0) + (weights[j] ?? 0) * Math.exp(-0.5 * ((place(k) - p) / WIDTH) ** 2);
  });
  return Array.from(sums, (sum, k) => [place(k), sum * scale] as const);
}

/** Position of grid point `k`. */
const place = (k: number): number => -REACH + (2 * REACH * k) / (GRID - 1);

/**
 * Position of (x, y) along the line with normal `a`, measured from the foot of the perpendicular from the
 * origin.
 */
const along = (a: { x: number; y: number }, x: number, y: number): number => a.x * y - a.y * x;

/** Density along the line of observation `i` of draws [n, 2]. */
export function drawDensity(data: DataSet, i: number, points: Float32Array): Curve {
  const a = rowOf(data, i);
  const positions = Array.from({ length: points.length / 2 }, (_, k) => along(a, points[2 * k] ?? 0, points[2 * k + 1] ?? 0));
  return density(positions, positions.map(() => 1));
}

/**
 * Density of the exact posterior under the true prior: every clean point has its likelihood N(y; a · x,
 * noise²) as weight.
 */
export function exactDensity(data: DataSet, i: number, noise: number): Curve {
  const [a, y] = [rowOf(data, i), data.y[i] ?? 0];
  const positions: number[] = [];
  const weights: number[] = [];
  for (let at = 0; at + 2 <= data.truth.length; at += 2) {
    const [px, py] = [data.truth[at] ?? 0, data.truth[at + 1] ?? 0];
    const weight = Math.exp(-0.5 * ((y - a.x * px - a.y * py) / noise) ** 2);
    if (weight < 1e-4) continue;
    positions.push(along(a, px, py));
    weights.push(weight);
  }
  return density(positions, weights);
}
