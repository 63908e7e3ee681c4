// Drawings to begin with.
import { type Spot, type Stroke, simplified } from './strokes';

const TURN = 2 * Math.PI;

/** A closed curve, or `share` of it, as a stroke. */
function along(point: (turn: number) => Spot, share = 1): Stroke {
  const fine = Array.from({ length: 257 }, (_, i) => point((share * TURN * i) / 256));
  // A closed curve has no direction from its first to its last point, so its halves are simplified.
  return [...simplified(fine.slice(0, 129)).slice(0, -1), ...simplified(fine.slice(128))];
}

const ring = (x: number, radius: number): Stroke => along((t) => [x + radius * Math.cos(t), radius * Math.sin(t)]);

const heart = (t: number): Spot => [
  (12 * Math.sin(t) - 4 * Math.sin(3 * t)) / 9,
  (13 * Math.cos(t) - 5 * Math.cos(2 * t) - 2 * Math.cos(3 * t) - Math.cos(4 * t) + 2.5) / 9,
];

/** A curve that crosses itself and has two ends, t² - 1 and t (t² - 1). */
const loop = (turn: number): Spot => {
  const t = 3.1 * (turn / TURN - 0.5);
  return [1.3 * (t * t - 1) - 0.2, 0.8 * t * (t * t - 1)];
};

const spiral = (t: number): Spot => [(0.12 * t + 0.15) * Math.cos(t), (0.12 * t + 0.15) * Math.sin(t)];

export const PRESETS: readonly (readonly [string, readonly Stroke[]])[] = [
  ['Circle', [ring(0, 1.6)]],
  ['Heart', [along(heart)]],
  ['Figure eight', [along((t) => [1.8 * Math.sin(t), 1.8 * Math.sin(t) * Math.cos(t)])]],
  ['Loop', [along(loop)]],
  ['Spiral', [along(spiral, 2)]],
  ['Two rings', [ring(-1.2, 0.55), ring(1.2, 0.55)]],
  ['Wave and dot', [along((t) => [-1.8 + (3.6 * t) / TURN, 0.8 * Math.sin(2 * t) - 0.5]), ring(0, 0.35).map(([x, y]): Spot => [x, y + 1.4])]],
];
