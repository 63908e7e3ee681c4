// Painting a mask on a small picture by pointer, touch or keyboard.

import type { Shape } from './pixels';

export interface PainterState {
  /** 1 where the pixel is observed and 0 where it is hidden, [height, width]. */
  mask: Float32Array;
  /** Pixel of the keyboard's cursor. */
  cursor: number;
}

export interface PainterHandlers {
  changed: () => void;
  finished: () => void;
  moved: (pixel: number) => void;
}

export class Painter {
  mask: Float32Array;
  /** 0 where there is no picture to uncover, [height, width]. */
  known: Float32Array | undefined;
  cursor: number;
  /** Side of the brush in pixels. */
  brush: number;
  /** Value that the brush writes into the mask: 0 hides pixels, 1 uncovers them. */
  paint: 0 | 1 = 0;
  #drawing = false;

  constructor(
    readonly shape: Shape,
    private readonly tell: PainterHandlers,
  ) {
    this.mask = new Float32Array(shape.width * shape.height).fill(1);
    this.cursor = Math.floor(shape.height / 2) * shape.width + Math.floor(shape.width / 2);
    this.brush = Math.max(1, Math.round(shape.width / 12));
  }

  /** The hidden pixel nearest to the cursor, or the pixel of the cursor where none is hidden. */
  nearestHidden(): number {
    const { width } = this.shape;
    const gap = (i: number): number => Math.hypot((i % width) - (this.cursor % width), Math.floor(i / width) - Math.floor(this.cursor / width));
    const hidden = [...this.mask.keys()].filter((i) => this.mask[i] === 0);
    return hidden.reduce((best, i) => (gap(i) < gap(best) ? i : best), hidden[0] ?? this.cursor);
  }

  fill(value: 0 | 1): void {
    this.mask = this.mask.map((_, i) => value * (this.known?.[i] ?? 1));
    this.tell.changed();
    this.tell.finished();
  }

  readonly down = (event: PointerEvent): void => {
    const target = event.currentTarget as HTMLElement;
    target.setPointerCapture(event.pointerId);
    this.#drawing = true;
    this.#at(event);
  };

  readonly move = (event: PointerEvent): void => {
    if (this.#drawing) this.#at(event);
  };

  readonly up = (): void => {
    if (this.#drawing) this.tell.finished();
    this.#drawing = false;
  };

  /** Arrow keys move the cursor, Space paints, and arrow keys with Shift do both. */
  readonly key = (event: KeyboardEvent): void => {
    const { width, height } = this.shape;
    const [x, y] = [this.cursor % width, Math.floor(this.cursor / width)];
    const steps: Record<string, readonly [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const step = steps[event.key];
    if (!step && event.key !== ' ') return;
    event.preventDefault();
    if (step) {
      const clamp = (v: number, n: number): number => Math.max(0, Math.min(n - 1, v));
      this.cursor = clamp(y + step[1], height) * width + clamp(x + step[0], width);
      this.tell.moved(this.cursor);
    }
    if (!step || event.shiftKey) this.#dab(this.cursor);
  };

  /** Keys paint dab by dab; a stroke is finished when the key is released. */
  readonly keyUp = (event: KeyboardEvent): void => {
    if (event.key === ' ' || event.shiftKey) this.tell.finished();
  };

  pixelAt(event: PointerEvent | MouseEvent): number {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    const index = (at: number, size: number, n: number): number => Math.max(0, Math.min(n - 1, Math.floor((at / size) * n)));
    const x = index(event.clientX - box.left, box.width, this.shape.width);
    return index(event.clientY - box.top, box.height, this.shape.height) * this.shape.width + x;
  }

  #at(event: PointerEvent): void {
    this.cursor = this.pixelAt(event);
    this.tell.moved(this.cursor);
    this.#dab(this.cursor);
  }

  #dab(center: number): void {
    const { width, height } = this.shape;
    const [cx, cy] = [center % width, Math.floor(center / width)];
    const back = Math.floor((this.brush - 1) / 2);
    for (let y = Math.max(0, cy - back); y < Math.min(height, cy - back + this.brush); y += 1) {
      for (let x = Math.max(0, cx - back); x < Math.min(width, cx - back + this.brush); x += 1) this.mask[y * width + x] = this.paint * (this.known?.[y * width + x] ?? 1);
    }
    this.tell.changed();
  }
}
