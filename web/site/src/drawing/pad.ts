// Drawing strokes by pointer, touch or keyboard.
import type { Plane } from '../lib/canvas';
import type { Palette } from '../lib/palette';
import { EDGE, MOST_POINTS, type Spot, type Stroke, inside, simplified, size } from './strokes';

/** Least distance between two points of a stroke while it is drawn, and step of the keyboard's pen. */
const NEAR = 0.02;
const STEP = 0.1;
const FINE = 0.02;

const ARROWS: Record<string, Spot> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

export class Pad {
  strokes: readonly Stroke[] = [];
  /** Pen of the keyboard. */
  pen: Spot = [0, 0];
  /** Whether the keyboard's pen draws. */
  penDown = false;
  /** The stroke under way. */
  #stroke: Spot[] | undefined;
  #before: (readonly Stroke[])[] = [];

  constructor(
    private readonly place: (event: PointerEvent) => Spot,
    private readonly changed: () => void,
  ) {}

  /** All strokes, with the one under way. */
  get shown(): readonly Stroke[] {
    return this.#stroke ? [...this.strokes, this.#stroke] : this.strokes;
  }

  get canUndo(): boolean {
    return this.#before.length > 0;
  }

  get full(): boolean {
    return size(this.strokes) >= MOST_POINTS;
  }

  /** Replaces all strokes. */
  replace(strokes: readonly Stroke[]): void {
    this.#before.push(this.strokes);
    this.strokes = strokes;
    this.#lift();
    this.changed();
  }

  undo(): void {
    this.strokes = this.#before.pop() ?? this.strokes;
    this.#lift();
    this.changed();
  }

  readonly down = (event: PointerEvent): void => {
    if (event.button !== 0 || this.full) return;
    (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
    this.finish();
    this.#stroke = [inside(this.place(event))];
    this.changed();
  };

  readonly move = (event: PointerEvent): void => {
    if (!this.#stroke || this.penDown) return;
    // A fast pointer reports several positions per frame.
    const all = event.getCoalescedEvents?.() ?? [];
    for (const one of all.length ? all : [event]) this.#reach(inside(this.place(one)));
    this.changed();
  };

  readonly up = (): void => {
    if (!this.penDown) this.finish();
  };

  /** Arrow keys move the pen, Space lowers and lifts it, Backspace takes the last stroke back. */
  readonly key = (event: KeyboardEvent): void => {
    const arrow = ARROWS[event.key];
    if (!arrow && event.key !== ' ' && event.key !== 'Backspace') return;
    event.preventDefault();
    if (event.key === 'Backspace') return this.undo();
    if (arrow) this.#movePen(arrow, event.shiftKey ? FINE : STEP);
    else if (this.penDown) this.finish();
    else this.#lowerPen();
    this.changed();
  };

  /** Ends the stroke under way. */
  finish(): void {
    const stroke = this.#stroke;
    this.#lift();
    if (!stroke) return;
    this.#before.push(this.strokes);
    const room = MOST_POINTS - size(this.strokes);
    this.strokes = [...this.strokes, simplified(stroke).slice(0, room)];
    this.changed();
  }

  #lift(): void {
    this.#stroke = undefined;
    this.penDown = false;
  }

  #lowerPen(): void {
    if (this.full) return;
    this.finish();
    this.penDown = true;
    this.#stroke = [this.pen];
  }

  #movePen([dx, dy]: Spot, step: number): void {
    this.pen = inside([this.pen[0] + step * dx, this.pen[1] + step * dy]);
    if (this.penDown) this.#reach(this.pen);
  }

  #reach(p: Spot): void {
    const last = this.#stroke?.at(-1);
    if (last && Math.hypot(p[0] - last[0], p[1] - last[1]) >= NEAR * 0.99) this.#stroke?.push(p);
  }
}

/** Draws the strokes with bands of two widths on each side, the edge of the plane, and the pen where the keyboard has the focus. */
export function drawPad(plane: Plane, colors: Palette, strokes: readonly Stroke[], width: number, pen: Spot | undefined, down: boolean): void {
  const g = plane.begin();
  const [left, top] = plane.toPixel(-EDGE, EDGE);
  g.strokeStyle = colors.faint;
  g.setLineDash([4, 4]);
  g.strokeRect(left, top, 2 * EDGE * plane.scale, 2 * EDGE * plane.scale);
  g.setLineDash([]);
  g.strokeStyle = g.fillStyle = colors.truth;
  g.lineCap = g.lineJoin = 'round';
  for (const [wide, alpha] of [[Math.max(7, 4 * width * plane.scale), 0.3], [2.2, 1]] as const) {
    g.globalAlpha = alpha;
    g.lineWidth = wide;
    g.beginPath();
    for (const stroke of strokes) trace(g, plane, stroke);
    g.stroke();
  }
  if (pen) cross(g, plane, pen, down ? colors.truth : colors.ink);
}

function trace(g: CanvasRenderingContext2D, plane: Plane, stroke: Stroke): void {
  const [first, ...rest] = stroke;
  if (!first) return;
  g.moveTo(...plane.toPixel(...first));
  // A round cap makes a dot of a line without length.
  for (const p of rest.length ? rest : [first]) g.lineTo(...plane.toPixel(...p));
}

function cross(g: CanvasRenderingContext2D, plane: Plane, at: Spot, color: string): void {
  const [x, y] = plane.toPixel(...at);
  g.globalAlpha = 1;
  g.strokeStyle = color;
  g.lineWidth = 2;
  g.beginPath();
  for (const [dx, dy] of [[9, 0], [0, 9]] as const) {
    g.moveTo(x - dx, y - dy);
    g.lineTo(x + dx, y + dy);
  }
  g.stroke();
}
