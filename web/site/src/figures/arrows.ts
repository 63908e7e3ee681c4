// The learned score at the draws, as arrows.
import type { Plane } from '../lib/canvas';
import { pointOf } from './manifold-view';
import type { Trajectory } from './trajectory';

/** Draws that get an arrow. */
const ARROWS = 60;
/** Share of the way to the posterior mean that an arrow shows. */
export const SHARE = 1 / 3;
/** Length of the head, and of the shortest arrow that is drawn, in pixels. */
const HEAD = 5;

/**
 * The posterior means of the draws at noise level `at`, E[x | x_t, y], [draws, d]: σ² times the score beside
 * them. A step returns the means at the level from which it started; there are none at the last level.
 */
export const meansAt = ({ means }: Trajectory, at: number): Float32Array | undefined => means[at + 1];

/** Draws arrows from points [n, d] towards `means`. */
export function drawArrows(plane: Plane, points: Float32Array, means: Float32Array, d: number, pair: readonly [number, number], color: string): void {
  const g = plane.context;
  g.strokeStyle = color;
  g.lineWidth = 1.3;
  g.globalAlpha = 0.75;
  g.beginPath();
  for (let k = 0; k < Math.min(ARROWS, points.length / d); k += 1) {
    const [p, m] = [pointOf(points, d, k, pair), pointOf(means, d, k, pair)];
    const [x, y] = plane.toPixel(p.x, p.y);
    const [u, v] = plane.toPixel(p.x + SHARE * (m.x - p.x), p.y + SHARE * (m.y - p.y));
    if (Math.hypot(u - x, v - y) < HEAD) continue;
    const angle = Math.atan2(v - y, u - x);
    g.moveTo(x, y);
    g.lineTo(u, v);
    for (const side of [-0.45, 0.45]) {
      g.moveTo(u, v);
      g.lineTo(u - HEAD * Math.cos(angle + side), v - HEAD * Math.sin(angle + side));
    }
  }
  g.stroke();
  g.globalAlpha = 1;
}
