// Choosing which lines of frequencies are measured, by pointer, touch or keyboard. A line is a column of the
// frequencies, which a scanner measures at once.

/** Six lines per character, for the page's address. */
const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

export interface LineHandlers {
  changed: () => void;
  finished: () => void;
}

export class LineChooser {
  /** 1 where the line is measured and 0 elsewhere, [width]. */
  measured: Float32Array;
  /** Line of the keyboard's cursor. */
  cursor: number;
  /** What a stroke writes, and the line that it has reached. */
  #stroke: { value: 0 | 1; at: number } | undefined;

  /** `center` lines in the middle belong to every pattern. */
  constructor(
    readonly width: number,
    readonly center: number,
    private readonly tell: LineHandlers,
  ) {
    this.measured = new Float32Array(width);
    this.cursor = Math.floor(width / 2);
  }

  /** Number of measured lines. */
  get count(): number {
    return this.measured.reduce((n, m) => n + m, 0);
  }

  /**
   * The line whose frequencies are opposite to those of `line`. The frequencies of a real picture are
   * conjugate there, so that one of both lines tells the other.
   */
  opposite(line: number): number {
    const turned = 2 * Math.floor(this.width / 2) - line;
    return ((turned % this.width) + this.width) % this.width;
  }

  /** Whether `line` is measured or opposite to one that is. */
  isKnown(line: number): boolean {
    return this.measured[line] === 1 || this.measured[this.opposite(line)] === 1;
  }

  /** Number of lines that are measured or opposite to one that is. */
  get known(): number {
    return Array.from(this.measured, (_, line) => this.isKnown(line)).filter(Boolean).length;
  }

  isCenter(line: number): boolean {
    const distance = line - Math.floor(this.width / 2);
    return distance >= -this.center / 2 && distance < this.center / 2;
  }

  /** Measures the center and the lines that `also` names. */
  choose(also: (line: number) => boolean): void {
    this.measured = this.measured.map((_, line) => (this.isCenter(line) || also(line) ? 1 : 0));
    this.tell.changed();
    this.tell.finished();
  }

  /** The mask of all frequencies, [height, width]. */
  mask(height: number): Float32Array {
    return Float32Array.from({ length: height * this.width }, (_, i) => this.measured[i % this.width] ?? 0);
  }

  /** The measured lines as text. */
  get text(): string {
    const bits = (at: number): number => Array.from({ length: 6 }, (_, k) => (this.measured[at + k] ?? 0) << k).reduce((sum, bit) => sum + bit, 0);
    return Array.from({ length: Math.ceil(this.width / 6) }, (_, k) => DIGITS[bits(6 * k)]).join('');
  }

  /** Measures the lines that `text` names; whether it names lines of this many. */
  read(text: string): boolean {
    const digits = [...text].map((character) => DIGITS.indexOf(character));
    if (digits.length !== Math.ceil(this.width / 6) || digits.includes(-1)) return false;
    this.measured = Float32Array.from({ length: this.width }, (_, line) => ((digits[Math.floor(line / 6)] ?? 0) >> (line % 6)) & 1);
    return true;
  }

  /** Takes over the lines of a mask [height, width]. */
  adopt(mask: Float32Array): void {
    this.measured = mask.slice(0, this.width);
  }

  readonly down = (event: PointerEvent): void => {
    (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
    const at = this.#lineAt(event);
    this.#stroke = { value: this.measured[at] === 1 ? 0 : 1, at };
    this.#write(at, at, this.#stroke.value);
  };

  readonly move = (event: PointerEvent): void => {
    if (!this.#stroke) return;
    const at = this.#lineAt(event);
    this.#write(this.#stroke.at, at, this.#stroke.value);
    this.#stroke.at = at;
  };

  readonly up = (): void => {
    if (this.#stroke) this.tell.finished();
    this.#stroke = undefined;
  };

  /** Arrow keys move the cursor, Space measures or skips its line, and arrow keys with Shift do both. */
  readonly key = (event: KeyboardEvent): void => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? 0;
    if (!step && event.key !== ' ') return;
    event.preventDefault();
    this.cursor = Math.max(0, Math.min(this.width - 1, this.cursor + step));
    if (!step || event.shiftKey) this.#write(this.cursor, this.cursor, this.measured[this.cursor] === 1 ? 0 : 1);
    else this.tell.changed();
  };

  readonly keyUp = (event: KeyboardEvent): void => {
    if (event.key === ' ' || event.shiftKey) this.tell.finished();
  };

  #lineAt(event: PointerEvent): number {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    return Math.max(0, Math.min(this.width - 1, Math.floor(((event.clientX - box.left) / box.width) * this.width)));
  }

  /** Writes `value` into all lines between `from` and `to`, because a fast pointer skips lines. */
  #write(from: number, to: number, value: 0 | 1): void {
    this.cursor = to;
    this.measured = this.measured.map((m, line) => (line >= Math.min(from, to) && line <= Math.max(from, to) ? value : m));
    this.tell.changed();
  }
}
