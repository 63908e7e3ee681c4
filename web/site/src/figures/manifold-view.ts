// Draws a run: reconstructions, the truth, and what one observation says.
import type { Plane, Point } from '../lib/canvas';
import type { Palette } from '../lib/palette';
import type { DataSet } from '../session/session';

export interface View {
  data: DataSet;
  cloud: Float32Array | undefined;
  /** The start's cloud, drawn behind. */
  behind?: Float32Array | undefined;
  pair: readonly [number, number];
  truth: boolean;
  lines: boolean;
  selected: number;
  noise: number;
  /** Points on their way are drawn thirty times a lap: fewer of them, and no start behind. */
  moving: boolean;
}

/** Points drawn while they move. */
const MOVING = 1500;

/** Observations whose lines are drawn when lines are asked for. */
const LINES = 24;

export function drawRun(plane: Plane, colors: Palette, view: View): void {
  const { data, cloud, pair } = view;
  plane.begin();
  const size = dotSize(plane, data.n);
  if (view.behind && !view.moving) plane.dots(view.behind, data.d, pair, colors.start, size, 0.35);
  const planar = data.d === 2 && data.m === 1;
  if (planar) drawBand(plane, colors, data, view.selected, view.noise);
  if (cloud) plane.dots(view.moving ? cloud.subarray(0, MOVING * data.d) : cloud, data.d, pair, colors.cloud, size, 0.6);
  if (view.truth) drawTruth(plane, colors, data, pair);
  if (planar && view.lines && cloud) drawSettling(plane, colors, data, cloud);
  if (cloud) ring(plane, colors, pointOf(cloud, data.d, view.selected, pair));
}

/** Dots shrink as they become many, and grow with the picture. */
export function dotSize(plane: Plane, n: number): number {
  return Math.max(1.4, Math.min(4, (plane.width / 420) * (n > 1500 ? 2.1 : 2.8)));
}

export function rowOf(data: DataSet, i: number): Point {
  return { x: data.a[2 * i] ?? 0, y: data.a[2 * i + 1] ?? 0 };
}

/** An observation y = a . x + n: the line where a . x = y, with a band of two standard deviations of the noise. */
export function drawBand(plane: Plane, colors: Palette, data: DataSet, i: number, noise: number): void {
  const [a, y] = [rowOf(data, i), data.y[i] ?? 0];
  plane.strokeLine(a, y, colors.band, Math.max(2, 4 * noise * plane.scale), 0.25);
  plane.strokeLine(a, y, colors.band, 1.6);
}

/** The truth as small open rings: to be told from reconstructions without color. */
export function drawTruth(plane: Plane, colors: Palette, data: DataSet, pair: readonly [number, number]): void {
  const g = plane.context;
  const every = Math.max(1, Math.floor(data.truth.length / data.d / 350));
  g.strokeStyle = colors.truth;
  g.lineWidth = 1;
  g.globalAlpha = 0.8;
  g.beginPath();
  for (let at = 0; at + data.d <= data.truth.length; at += data.d * every) {
    const [x, y] = plane.toPixel(data.truth[at + pair[0]] ?? 0, data.truth[at + pair[1]] ?? 0);
    g.moveTo(x + 1.6, y);
    g.arc(x, y, 1.6, 0, 2 * Math.PI);
  }
  g.stroke();
  g.globalAlpha = 1;
}

/** A few observations' lines, each with its point and the gap between them, which the E-step closes. */
function drawSettling(plane: Plane, colors: Palette, data: DataSet, cloud: Float32Array): void {
  const g = plane.context;
  for (let k = 0; k < LINES; k += 1) {
    const i = Math.floor((k * data.n) / LINES);
    const [a, y] = [rowOf(data, i), data.y[i] ?? 0];
    const p = pointOf(cloud, 2, i, [0, 1]);
    const gap = y - (a.x * p.x + a.y * p.y);
    plane.strokeLine(a, y, colors.band, 1, 0.35);
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

export function pointOf(points: Float32Array, d: number, i: number, pair: readonly [number, number]): Point {
  return { x: points[i * d + pair[0]] ?? 0, y: points[i * d + pair[1]] ?? 0 };
}

export function disc(plane: Plane, p: Point, radius: number, color: string): void {
  const g = plane.context;
  g.fillStyle = color;
  g.beginPath();
  g.arc(...plane.toPixel(p.x, p.y), radius, 0, 2 * Math.PI);
  g.fill();
}

function ring(plane: Plane, colors: Palette, p: Point): void {
  const g = plane.context;
  disc(plane, p, 3.2, colors.cloud);
  g.strokeStyle = colors.ink;
  g.lineWidth = 1.6;
  g.beginPath();
  g.arc(...plane.toPixel(p.x, p.y), 6.5, 0, 2 * Math.PI);
  g.stroke();
}

/** The row of `points` nearest to `p` in the plane of `pair`. */
export function nearest(points: Float32Array, d: number, pair: readonly [number, number], p: Point): number {
  let best = { i: 0, gap: Infinity };
  for (let i = 0; (i + 1) * d <= points.length; i += 1) {
    const q = pointOf(points, d, i, pair);
    const gap = (q.x - p.x) ** 2 + (q.y - p.y) ** 2;
    if (gap < best.gap) best = { i, gap };
  }
  return best.i;
}
