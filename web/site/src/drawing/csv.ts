// Points from a file of the reader's own: two numbers per line, between commas, semicolons, tabs or spaces.
import { EDGE, MOST_POINTS, type Spot, type Stroke } from './strokes';

const MOST_BYTES = 20_000_000;
/** Share of the plane that the points fill. */
const FILL = 0.9;

/** Reads the points of `file`, scaled evenly into the plane, each as a stroke of its own; throws with one sentence otherwise. */
export async function readPoints(file: File): Promise<{ strokes: Stroke[]; note: string }> {
  if (file.size > MOST_BYTES) throw new Error(`${file.name}: expected at most 20 MB of points, found ${Math.round(file.size / 1e6)} MB`);
  const points = parse(file.name, await file.text());
  const every = Math.ceil(points.length / MOST_POINTS);
  const kept = points.filter((_, i) => i % every === 0);
  const note = every > 1 ? `${file.name}: every ${every}. of ${points.length} points is used.` : `${file.name}: ${points.length} points.`;
  return { strokes: fitted(kept).map((p) => [p]), note };
}

function parse(name: string, text: string): Spot[] {
  // What is not text has zeros in it, or bytes that no text has.
  if (/[\0\ufffd]/.test(text)) throw new Error(`${name}: expected text with two numbers per line, found a file that is no text`);
  const points: Spot[] = [];
  const lines = text.split(/\r\n|\r|\n/);
  for (const [i, line] of lines.entries()) {
    if (!line.trim()) continue;
    const fields = line.trim().split(/[\s,;]+/, 2);
    const [x, y] = fields.map((f) => (f === '' ? NaN : Number(f)));
    if (x !== undefined && y !== undefined && Number.isFinite(x) && Number.isFinite(y)) points.push([x, y]);
    // The first line may name the columns.
    else if (i > 0) throw new Error(`${name}: line ${i + 1}: expected two numbers, found “${line.trim().slice(0, 30)}”`);
  }
  if (points.length < 2) throw new Error(`${name}: expected lines of two numbers, one line per point, and found ${points.length} points`);
  return points;
}

function fitted(points: readonly Spot[]): Spot[] {
  const range = (axis: 0 | 1): [number, number] => points.reduce<[number, number]>(([low, high], p) => [Math.min(low, p[axis]), Math.max(high, p[axis])], [Infinity, -Infinity]);
  const [x, y] = [range(0), range(1)];
  const scale = (2 * EDGE * FILL) / (Math.max(x[1] - x[0], y[1] - y[0]) || 1);
  return points.map((p) => [(p[0] - (x[0] + x[1]) / 2) * scale, (p[1] - (y[0] + y[1]) / 2) * scale]);
}
