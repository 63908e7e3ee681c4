// Draws the state of a run: reconstructions, the truth and observations.
import type { Plane, Point } from '../lib/canvas';
import type { Palette } from '../lib/palette';
import type { DataSet } from '../session/session';

export interface View {
  data: DataSet;
  cloud: Float32Array | undefined;
  /** Reconstructions of the start, drawn behind the others. */
  behind?: Float32Array | undefined;
  pair: readonly [number, number];
  truth: boolean;
  lines: boolean;
  selected: number;
  noise: number;
  /**
   * The E-step is under way. The picture then changes thirty times per lap, so it has fewer points and no
   * start.
   */
  moving: boolean;
}

/** Points drawn during the E-step. */
const MOVING = 1500;

/** Observations drawn as lines where the reader asks for lines. */
const LINES = 24;

/** Draws everything that `view` asks for. */
export function drawRun(plane: Plane, colors: Palette, view: View): void {
  const { data, cloud, pair } = view;
  plane.begin();
  const size = dotSize(plane, data.n);
  if (view.behind && !view.moving) plane.dots(view.behind, data.d, pair, colors.start, size, 0.35);
  const planar = data.d === 2 && data.m === 1;
  if (planar) drawBand(plane, colors, data, view.selected, view.noise);
  if (cloud) plane.dots(view.moving ? cloud.subarray(0, MOVING * data.d) : cloud, data.d, pair, colors.posterior, size, 0.6);
  if (view.truth) drawTruth(plane, colors, data, pair);
  if (planar && view.lines && cloud) drawSettling(plane, colors, data, cloud);
  if (cloud) ring(plane, colors, pointOf(cloud, data.d, view.selected, pair));
}

/** Side of a dot in pixels: it grows with the picture and shrinks with the number of dots. */
export function dotSize(plane: Plane, n: number): number {
  return Math.max(1.4, Math.min(4, (plane.width / 420) * (n > 1500 ? 2.1 : 2.8)));
}

/** Row a of the operator of planar observation `i`. */
export function rowOf(data: DataSet, i: number): Point {
  return { x: data.a[2 * i] ?? 0, y: data.a[2 * i + 1] ?? 0 };
}

/**
 * Draws observation y = a · x + n as the line a · x = y with a band of two standard deviations of the noise
 * on each side.
 */
export function drawBand(plane: Plane, colors: Palette, data: DataSet, i: number, noise: number): void {
  const [a, y] = [rowOf(data, i), data.y[i] ?? 0];
  plane.strokeLine(a, y, colors.observation, Math.max(2, 4 * noise * plane.scale), 0.25);
  plane.strokeLine(a, y, colors.observation, 1.6);
}

/** Draws the truth as small rings, which differ from the dots of reconstructions without color. */
export function drawTruth(plane: Plane, colors: Palette, data: DataSet, pair: readonly [number, number]): void {
  const g = plane.context;
  const every = Math.max(1, Math.floor(data.truth.length / data.d / 350));
  g.strokeStyle = colors.truth;
  g.lineWidth = 1.2;
  g.beginPath();
  for (let at = 0; at + data.d <= data.truth.length; at += data.d * every) {
    const [x, y] = plane.toPixel(data.truth[at + pair[0]] ?? 0, data.truth[at + pair[1]] ?? 0);
    g.moveTo(x + 1.6, y);
    g.arc(x, y, 1.6, 0, 2 * Math.PI);
  }
  g.stroke();
}

/**
 * Draws a few observations as lines, each with its reconstruction and the gap between the two, which the
 * E-step closes.
 */
function drawSettling(plane: Plane, colors: Palette, data: DataSet, cloud: Float32Array): void {
  const g = plane.context;
  for (let k = 0; k < LINES; k += 1) {
    const i = Math.floor((k * data.n) / LINES);
    const [a, y] = [rowOf(data, i), data.y[i] ?? 0];
    const p = pointOf(cloud, 2, i, [0, 1]);
    const gap = y - (a.x * p.x + a.y * p.y);
    plane.strokeLine(a, y, colors.observation, 1, 0.35);
    g.strokeStyle = colors.ink;
    g.globalAlpha = 0.7;
    g.beginPath();
    g.moveTo(...plane.toPixel(p.x, p.y));
    g.lineTo(...plane.toPixel(p.x + gap * a.x, p.y + gap * a.y));
    g.stroke();
    g.globalAlpha = 1;
    disc(plane, p, 3, colors.ink);
  }
}

/** Coordinates `pair` of row `i` of points [n, d]. */
export function pointOf(points: Float32Array, d: number, i: number, pair: readonly [number, number]): Point {
  return { x: points[i * d + pair[0]] ?? 0, y: points[i * d + pair[1]] ?? 0 };
}

/** Draws a disc; `radius` is in pixels. */
export function disc(plane: Plane, p: Point, radius: number, color: string): void {
  const g = plane.context;
  g.fillStyle = color;
  g.beginPath();
  g.arc(...plane.toPixel(p.x, p.y), radius, 0, 2 * Math.PI);
  g.fill();
}

/** Marks the reconstruction of the selected observation. */
function ring(plane: Plane, colors: Palette, p: Point): void {
  const g = plane.context;
  disc(plane, p, 3.2, colors.posterior);
  g.strokeStyle = colors.ink;
  g.lineWidth = 1.6;
  g.beginPath();
  g.arc(...plane.toPixel(p.x, p.y), 6.5, 0, 2 * Math.PI);
  g.stroke();
}

/** Index of the row of points [n, d] that is nearest to `p` in the coordinates of `pair`. */
export function nearest(points: Float32Array, d: number, pair: readonly [number, number], p: Point): number {
  let best = { i: 0, gap: Infinity };
  for (let i = 0; (i + 1) * d <= points.length; i += 1) {
    const q = pointOf(points, d, i, pair);
    const gap = (q.x - p.x) ** 2 + (q.y - p.y) ** 2;
    if (gap < best.gap) best = { i, gap };
  }
  return best.i;
}
