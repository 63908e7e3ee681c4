// Strokes that the reader draws, as text for the page's address. A drawing is read back from its text before it
// is used, so that it has the same numbers wherever the address is opened.

export type Spot = readonly [number, number];
/** Points joined by straight lines; a stroke of one point is that point. Coordinates lie in [-2, 2]. */
export type Stroke = readonly Spot[];

/** Drawings end here, as the other curves do. */
export const EDGE = 2;
/** Steps of a coordinate per unit. */
const GRID = 100;
/** Greatest distance, in units of the plane, by which a simplified stroke leaves what was drawn. */
const TOLERANCE = 0.012;
/** Most points of a drawing; an address has two to four characters per point. */
export const MOST_POINTS = 1000;

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const NEXT = '.';
/** Begins a drawing of points of their own, which are sorted and not joined. */
const CLOUD = '~';

/** `p` with coordinates in [-2, 2]. */
export const inside = ([x, y]: Spot): Spot => [Math.max(-EDGE, Math.min(EDGE, x)), Math.max(-EDGE, Math.min(EDGE, y))];

/** Writes a whole number in five bits per character, the lowest first; the sixth bit says that more follow. */
function digits(value: number): string {
  let rest = value < 0 ? -2 * value - 1 : 2 * value;
  let text = '';
  do {
    text += DIGITS[(rest & 31) | (rest > 31 ? 32 : 0)] ?? '';
    rest >>= 5;
  } while (rest > 0);
  return text;
}

function numbers(text: string): number[] | undefined {
  const out: number[] = [];
  let [value, shift] = [0, 0];
  for (const character of text) {
    const bits = DIGITS.indexOf(character);
    if (bits < 0 || shift > 10) return undefined;
    value |= (bits & 31) << shift;
    shift += 5;
    if (bits & 32) continue;
    out.push(value & 1 ? -(value + 1) / 2 : value / 2);
    [value, shift] = [0, 0];
  }
  return shift === 0 ? out : undefined;
}

/** The steps from each point to the next, the first from the middle. */
function steps(points: readonly Spot[]): string {
  let last: Spot = [0, 0];
  let text = '';
  for (const p of points) {
    const at: Spot = [Math.round(p[0] * GRID), Math.round(p[1] * GRID)];
    text += digits(at[0] - last[0]) + digits(at[1] - last[1]);
    last = at;
  }
  return text;
}

function points(text: string): Spot[] | undefined {
  const values = numbers(text);
  if (!values || values.length % 2) return undefined;
  const out: Spot[] = [];
  let [x, y] = [0, 0];
  for (let i = 0; i < values.length; i += 2) {
    x += values[i] ?? 0;
    y += values[i + 1] ?? 0;
    if (Math.abs(x) > EDGE * GRID || Math.abs(y) > EDGE * GRID) return undefined;
    out.push([x / GRID, y / GRID]);
  }
  return out;
}

/** The drawing as text, at a hundredth of a unit; '' for nothing. */
export function encode(strokes: readonly Stroke[]): string {
  const drawn = strokes.filter((s) => s.length > 0);
  if (!drawn.length) return '';
  if (drawn.length > 1 && drawn.every((s) => s.length === 1)) {
    const spots = drawn.map((s) => inside(s[0] as Spot)).sort((a, b) => Math.round(a[0] * GRID) - Math.round(b[0] * GRID) || a[1] - b[1]);
    return CLOUD + steps(spots);
  }
  return drawn.map((s) => steps(s.map(inside))).join(NEXT);
}

/** The drawing of a text; undefined where the text is none. */
export function decode(text: string): Stroke[] | undefined {
  const cloud = text.startsWith(CLOUD);
  const parts = (cloud ? text.slice(CLOUD.length) : text).split(NEXT).map(points);
  if (parts.some((p) => !p?.length)) return undefined;
  const strokes = cloud ? (parts[0] ?? []).map((p) => [p]) : (parts as Stroke[]);
  const count = strokes.reduce((n, s) => n + s.length, 0);
  return count <= MOST_POINTS && !(cloud && parts.length > 1) ? strokes : undefined;
}

/** The points of `stroke` that are needed to stay close to it (Douglas and Peucker 1973). */
export function simplified(stroke: Stroke): Stroke {
  const [first, last] = [stroke[0], stroke.at(-1)];
  if (!first || !last || stroke.length < 3) return stroke;
  let far = { at: 0, gap: TOLERANCE };
  stroke.forEach((p, at) => {
    const gap = distance(p, first, last);
    if (gap > far.gap) far = { at, gap };
  });
  if (!far.at) return [first, last];
  return [...simplified(stroke.slice(0, far.at + 1)).slice(0, -1), ...simplified(stroke.slice(far.at))];
}

/** Distance of `p` from the straight line between `a` and `b`. */
function distance(p: Spot, a: Spot, b: Spot): number {
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const share = Math.max(0, Math.min(1, ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / (dx * dx + dy * dy || 1)));
  return Math.hypot(p[0] - a[0] - share * dx, p[1] - a[1] - share * dy);
}

/** Number of points of a drawing. */
export const size = (strokes: readonly Stroke[]): number => strokes.reduce((n, s) => n + s.length, 0);
