// <diffem-corruption for=ID>: the training data. Every observation is a line in the plane.
import { type TemplateResult, html, nothing } from 'lit';
import { debounced } from '../lib/async';
import { Plane, type Point } from '../lib/canvas';
import { count, short } from '../lib/format';
import type { Palette } from '../lib/palette';
import { LIMITS } from '../session/config';
import type { DataSet } from '../session/session';
import { LinkedFigure } from './linked';
import { drawBand, drawTruth, rowOf } from './manifold-view';

/** More lines than this only make the picture slow. */
const MAX_LINES = 512;

export class DiffemCorruption extends LinkedFigure {
  static override properties = {
    shown: { type: Number },
    truth: { type: Boolean },
    noise: { state: true },
  };
  declare shown: number;
  declare truth: boolean;
  declare noise: number | undefined;

  #data: DataSet | undefined;
  #plane: Plane | undefined;
  #bundle = { canvas: document.createElement('canvas'), key: '' };
  #commit = debounced(() => {
    if (this.noise !== undefined) this.source?.configure({ noise: this.noise });
  }, 250);

  constructor() {
    super();
    this.shown = 48;
    this.truth = false;
  }

  protected override sessionChanged(): void {
    const data = this.session?.data;
    if (!data || data.d !== 2 || data.m !== 1 || data === this.#data) return;
    this.#data = data;
    this.noise = undefined;
  }

  get #noise(): number {
    return this.noise ?? this.session?.config.noise ?? 0.05;
  }

  protected override render(): TemplateResult {
    const data = this.#data;
    if (!this.supported || !data || !this.session) return this.poster();
    return html`
      <div class="split">
        <div>
          <canvas class="plane" part="canvas" role="img" style="touch-action:pan-y"
            aria-label="${this.#count} observations, each a line in the plane; observation ${this.#selected} is selected"
            @pointermove=${this.#pointed} @pointerdown=${this.#pointed}></canvas>
          <ul class="legend">
            <li><span class="swatch line" style="--c:var(--diffem-observation);opacity:0.55;border-top-width:1px"></span>observations</li>
            <li><span class="swatch line" style="--c:var(--diffem-observation)"></span>selected observation with its noise</li>
            ${this.truth ? html`<li><span class="swatch" style="background:none;border:1.5px solid var(--diffem-truth)"></span>truth</li>` : nothing}
          </ul>
        </div>
        <div class="side" part="controls">
          ${this.#controls(data)}
          <p style="margin:0" part="status">${this.#reading(data)}</p>
        </div>
      </div>`;
  }

  #controls(data: DataSet): TemplateResult {
    const most = Math.min(MAX_LINES, data.n);
    const input = (work: (value: number) => void) => (e: Event) => work(Number((e.target as HTMLInputElement).value));
    const planar = this.session?.config.data !== 'manifold';
    return html`
      <label><span>Observations shown <output>${count(this.#count)}</output></span>
        <input type="range" name="shown" min="0" max="1" step="0.005" .value=${String(Math.log(this.#count) / Math.log(most))}
          aria-valuetext="${this.#count}" @input=${input((v) => (this.shown = Math.round(most ** v)))}></label>
      <label><span>Standard deviation of the noise <output>${short(this.#noise)}</output></span>
        <input type="range" name="noise" min=${LIMITS.noise.min} max=${LIMITS.noise.max} step="0.01" ?disabled=${!planar}
          .value=${String(this.#noise)} @input=${input((v) => this.#setNoise(v))}></label>
      <label><span>Selected observation <output>${this.#selected}</output></span>
        <input type="range" name="observation" min="0" max=${Math.max(1, this.#count - 1)} .value=${String(this.#selected)}
          @input=${input((v) => this.session?.select(v))}></label>
      <label class="tick"><input type="checkbox" name="truth" .checked=${this.truth}
        @change=${(e: Event) => (this.truth = (e.target as HTMLInputElement).checked)}> show the truth</label>`;
  }

  #setNoise(value: number): void {
    this.noise = value;
    this.#commit();
  }

  /** Says in words what the selected observation determines and what it leaves open. */
  #reading(data: DataSet): TemplateResult {
    const [a, y] = [rowOf(data, this.#selected), data.y[this.#selected] ?? 0];
    const sign = a.y < 0 ? '−' : '+';
    return html`The selected observation says that ${short(a.x)} x₁ ${sign} ${short(Math.abs(a.y))} x₂ = ${short(y)} ± ${short(this.#noise)}. It says nothing about the position along the line.
      ${this.truth ? html`The curve crosses this band in ${crossings(data, this.#selected, this.#noise)}.` : nothing}`;
  }

  get #count(): number {
    return Math.max(1, Math.min(this.shown, MAX_LINES, this.#data?.n ?? 1));
  }

  get #selected(): number {
    return Math.min(this.session?.selected ?? 0, Math.max(0, this.#count - 1));
  }

  #pointed = (event: PointerEvent): void => {
    if (this.#plane && this.#data) this.session?.select(nearestLine(this.#data, this.#count, this.#plane.toPlane(event)));
  };

  protected override paintCanvases(): boolean {
    const canvas = this.renderRoot.querySelector<HTMLCanvasElement>('canvas.plane');
    const data = this.#data;
    if (!canvas || !data) return false;
    if (this.#plane?.canvas !== canvas) this.#plane = new Plane(canvas, 2.7);
    const colors = this.palette;
    if (!this.changed(canvas, data, this.#count, this.#selected, this.#noise, this.truth, canvas.clientWidth, devicePixelRatio, colors.observation)) return true;
    const g = this.#plane.begin();
    this.#drawBundle(data, colors);
    g.drawImage(this.#bundle.canvas, 0, 0, this.#plane.width, this.#plane.height);
    drawBand(this.#plane, colors, data, this.#selected, this.#noise);
    if (this.truth) drawTruth(this.#plane, colors, data, [0, 1]);
    return true;
  }

  /** Keeps all lines as a picture, so that moving the pointer redraws the selected one only. */
  #drawBundle(data: DataSet, colors: Palette): void {
    const { canvas } = this.#plane as Plane;
    const key = [canvas.width, canvas.height, this.#count, colors.observation, data.y[0], data.y.length].join();
    if (key === this.#bundle.key) return;
    this.#bundle.key = key;
    Object.assign(this.#bundle.canvas, { width: canvas.width, height: canvas.height });
    const g = this.#bundle.canvas.getContext('2d');
    if (!g || !this.#plane) return;
    g.strokeStyle = colors.observation;
    g.lineWidth = Math.max(1, canvas.width / this.#plane.width);
    g.globalAlpha = Math.min(0.7, Math.max(0.16, 3.8 / Math.sqrt(this.#count)));
    const ratio = canvas.width / this.#plane.width;
    for (let i = 0; i < this.#count; i += 1) {
      const [p, q] = this.#plane.ends(rowOf(data, i), data.y[i] ?? 0);
      g.beginPath();
      g.moveTo(p[0] * ratio, p[1] * ratio);
      g.lineTo(q[0] * ratio, q[1] * ratio);
      g.stroke();
    }
  }
}

/** Index of the line nearest to `p` among the first `shown`. */
function nearestLine(data: DataSet, shown: number, p: Point): number {
  let best = { i: 0, gap: Infinity };
  for (let i = 0; i < shown; i += 1) {
    const a = rowOf(data, i);
    const gap = Math.abs(a.x * p.x + a.y * p.y - (data.y[i] ?? 0)) / (Math.hypot(a.x, a.y) || 1);
    if (gap < best.gap) best = { i, gap };
  }
  return best.i;
}

/** Says in how many separate places the truth lies within two standard deviations of the line. */
function crossings(data: DataSet, i: number, noise: number): string {
  const [a, y] = [rowOf(data, i), data.y[i] ?? 0];
  const along: number[] = [];
  for (let at = 0; at + 2 <= data.truth.length; at += 2) {
    const p = { x: data.truth[at] ?? 0, y: data.truth[at + 1] ?? 0 };
    if (Math.abs(a.x * p.x + a.y * p.y - y) < 2 * noise) along.push(a.x * p.y - a.y * p.x);
  }
  along.sort((s, t) => s - t);
  const places = along.filter((t, k) => k === 0 || t - (along[k - 1] ?? t) > 0.25).length;
  return places === 1 ? 'one place' : `${places} places`;
}
