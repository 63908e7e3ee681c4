// The mode of <diffem-manifold> in which the reader draws the hidden truth: a pad, presets, sliders and a file of points.
import { type TemplateResult, css, html } from 'lit';
import { readPoints } from '../drawing/csv';
import { Pad, drawPad } from '../drawing/pad';
import { PRESETS } from '../drawing/presets';
import { type Spot, decode, encode, size } from '../drawing/strokes';
import { messageOf } from '../lib/async';
import type { Plane } from '../lib/canvas';
import { short } from '../lib/format';
import type { Palette } from '../lib/palette';
import { LIMITS, type SessionConfig } from '../session/config';

export interface DrawingHost {
  /** Position of a pointer in the plane. */
  place: (event: PointerEvent) => Spot;
  changed: () => void;
  /** Takes the drawing as the hidden truth and learns it. */
  learn: (change: Partial<SessionConfig>) => void;
}

export class DrawingMode {
  on = false;
  thickness = 0;
  noise = 0;
  #note = '';
  #failure = '';
  readonly pad: Pad;

  constructor(private readonly host: DrawingHost) {
    this.pad = new Pad(host.place, host.changed);
  }

  /** Begins with the drawing of the run, with that of the last time, or with nothing. */
  open({ drawing, thickness, noise }: SessionConfig): void {
    if (drawing && drawing !== encode(this.pad.strokes)) this.pad.strokes = decode(drawing) ?? [];
    Object.assign(this, { on: true, thickness, noise });
    this.#say('');
  }

  close(): void {
    this.pad.finish();
    this.on = false;
    this.host.changed();
  }

  /** Takes the points of a file; a file without points leaves the drawing as it is and is said to be one. */
  async read(file: File): Promise<void> {
    try {
      const { strokes, note } = await readPoints(file);
      this.pad.replace(strokes);
      this.#say(note);
    } catch (error) {
      this.#say('', messageOf(error));
    }
  }

  #say(note: string, failure = ''): void {
    this.#note = note;
    this.#failure = failure;
    this.host.changed();
  }

  #learn = (): void => {
    this.pad.finish();
    this.on = false;
    this.host.learn({ data: 'drawn', drawing: encode(this.pad.strokes), thickness: this.thickness, noise: this.noise });
  };

  canvas(): TemplateResult {
    const { pad } = this;
    const [x, y] = pad.pen;
    return html`<canvas class="plane pad" part="canvas" tabindex="0" role="application" aria-roledescription="drawing pad"
        aria-label="Drawing of ${pad.shown.length} ${pad.shown.length === 1 ? 'stroke' : 'strokes'}. Arrow keys move the pen, which is at ${short(x)}, ${short(y)}; Space lowers and lifts it, and it is ${pad.penDown ? 'down' : 'up'}; Backspace takes back."
        @pointerdown=${pad.down} @pointermove=${pad.move} @pointerup=${pad.up} @pointercancel=${pad.up} @keydown=${pad.key}
        @focus=${this.host.changed} @blur=${this.host.changed}></canvas>`;
  }

  controls(): TemplateResult {
    const { pad } = this;
    const empty = pad.shown.length === 0;
    return html`
      <p style="margin:0">Draw one or more strokes, or begin with one of these. The strokes are the hidden truth: the model gets 4096 lines only, each with noise.</p>
      <div class="controls" part="controls" role="group" aria-label="Drawings to begin with">
        ${PRESETS.map(([name, strokes]) => html`<button @click=${() => this.#preset(strokes)}>${name}</button>`)}
      </div>
      <div class="controls" part="controls">
        <button ?disabled=${!pad.canUndo} @click=${() => pad.undo()}>Undo</button>
        <button ?disabled=${empty} @click=${() => pad.replace([])}>Clear</button>
        <button @click=${(e: Event) => ((e.currentTarget as HTMLElement).nextElementSibling as HTMLElement).click()}>Points from a file…</button>
        <input type="file" name="points" hidden accept=".csv,.tsv,.txt,text/csv,text/plain" @change=${this.#chosen}>
      </div>
      <div class="fields" part="controls">
        ${this.#slider('thickness', 'Width of the strokes', 0.01)} ${this.#slider('noise', 'Noise of the observations', 0.01)}
      </div>
      <div class="controls" part="controls">
        <button class="main" part="learn" ?disabled=${empty} @click=${this.#learn}>Hide and learn it</button>
        <button @click=${() => this.close()}>Back to the run</button>
      </div>
      <p class="status ${this.#failure ? 'failed' : ''}" part="status" role="status">${this.#failure || this.#note || this.#count()}</p>`;
  }

  #preset(strokes: typeof this.pad.strokes): void {
    this.pad.replace(strokes);
    this.#say('');
  }

  #count(): string {
    const points = size(this.pad.strokes);
    return this.pad.full ? `A drawing has at most ${points} points, and this one is full.` : 'You can also drop a CSV file with two columns here.';
  }

  #chosen = (event: Event): void => {
    const input = event.target as HTMLInputElement;
    const [file] = input.files ?? [];
    input.value = '';
    if (file) void this.read(file);
  };

  #slider(name: 'thickness' | 'noise', label: string, step: number): TemplateResult {
    const { min, max } = LIMITS[name];
    const set = (e: Event): void => {
      this[name] = Number((e.target as HTMLInputElement).value);
      this.host.changed();
    };
    return html`<label><span>${label} <output>${short(this[name])}</output></span>
      <input type="range" name=${name} min=${min} max=${max} step=${step} .value=${String(this[name])} @input=${set}></label>`;
  }

  paint(plane: Plane, colors: Palette, focused: boolean): void {
    drawPad(plane, colors, this.pad.shown, this.thickness, focused ? this.pad.pen : undefined, this.pad.penDown);
  }
}

export const drawingStyles = css`
  canvas.pad { cursor: crosshair; touch-action: none; }
`;
