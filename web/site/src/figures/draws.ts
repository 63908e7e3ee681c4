// <diffem-draws for=ID>: posterior draws of one observation, at every noise level σ from noise to data.
import { type TemplateResult, html, nothing } from 'lit';
import { isAbort, messageOf } from '../lib/async';
import { Plane } from '../lib/canvas';
import { lineChart } from '../lib/chart';
import { reducedMotion } from '../lib/environment';
import { short } from '../lib/format';
import type { DataSet } from '../session/session';
import { drawArrows, meansAt } from './arrows';
import { drawDensity, exactDensity } from './density';
import { LinkedFigure } from './linked';
import { disc, drawBand, drawTruth, pointOf } from './manifold-view';
import type { Trajectory } from './trajectory';
import { emptyTrajectory } from './trajectory';

const DRAWS = 200;
/** Frames per second of the replay. */
const RATE = 20;
/** Draws whose trajectories are drawn. */
const TRACED = 8;

export class DiffemDraws extends LinkedFigure {
  static override properties = { at: { state: true }, playing: { state: true }, busy: { state: true }, arrows: { state: true }, failure: { state: true } };
  declare at: number;
  declare playing: boolean;
  declare busy: boolean;
  /** Whether the reader wants arrows of the score. */
  declare arrows: boolean;
  declare failure: string;

  #trajectory: Trajectory = emptyTrajectory();
  #plane: Plane | undefined;
  #abort: AbortController | undefined;
  #seen = { laps: 0, selected: -1, data: undefined as DataSet | undefined };
  #seed = 0;
  #clock = 0;

  constructor() {
    super();
    Object.assign(this, { at: 0, playing: false, busy: false, arrows: true, failure: '' });
  }

  /** Draws anew when the data, the selected observation or the number of finished laps changes. */
  protected override sessionChanged(): void {
    const s = this.session;
    if (!s?.data) return;
    const now = { laps: s.laps.length, selected: s.selected, data: s.data };
    if (now.data !== this.#seen.data || now.laps < this.#seen.laps) this.#trajectory = emptyTrajectory();
    const stale = now.selected !== this.#seen.selected || now.laps !== this.#seen.laps || now.data !== this.#seen.data;
    if (!stale) return;
    this.#seen = now;
    this.#adoptRecorded();
    if (this.visible && this.#trained) void this.draw(!this.playing);
  }

  protected override visibilityChanged(): void {
    super.visibilityChanged();
    if (this.visible && this.#trained && !this.busy && this.#trajectory.of !== this.session?.selected) void this.draw(true);
  }

  /** Shows recorded draws, which have the last noise level only. */
  #adoptRecorded(): void {
    const recorded = this.session?.recordedDraws;
    if (!recorded) return;
    this.#trajectory = { of: recorded.of, sigmas: [0], states: [recorded.diffem], means: [] };
    this.at = 0;
  }

  get #trained(): boolean {
    const s = this.session;
    return !!s && s.laps.length > 1 && s.status !== 'recorded' && s.status !== 'loading';
  }

  /** Samples anew. The figure follows the steps, or shows only the finished draws where `quietly` is set. */
  async draw(quietly = false): Promise<void> {
    const s = this.session;
    if (!s?.data) return;
    this.#abort?.abort();
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    const next = { ...emptyTrajectory(), of: s.selected };
    this.failure = '';
    this.busy = true;
    this.playing = false;
    const follow = !quietly && !reducedMotion();
    if (follow) this.#trajectory = next;
    try {
      await s.posterior(next.of, {
        draws: DRAWS,
        seed: this.#seed,
        signal,
        onStep: (step) => {
          next.sigmas.push(step.sigma);
          next.states.push(step.state);
          next.means.push(step.mean);
          if (follow) this.at = next.states.length - 1;
        },
      });
      if (signal.aborted) return;
      this.#trajectory = next;
      this.at = next.states.length - 1;
    } catch (error) {
      if (!isAbort(error)) this.failure = messageOf(error);
    } finally {
      if (!signal.aborted) this.busy = false;
    }
  }

  /** Replays the noise levels; where the reader prefers reduced motion, each call shows the next level. */
  #replay(): void {
    if (reducedMotion()) {
      this.at = (this.at + 1) % Math.max(1, this.#trajectory.states.length);
      return;
    }
    this.playing = !this.playing;
    if (!this.playing) return;
    this.at = 0;
    this.#clock = performance.now();
    requestAnimationFrame(this.#tick);
  }

  #tick = (now: number): void => {
    if (!this.playing || !this.visible) {
      this.playing = false;
      return;
    }
    const last = this.#trajectory.states.length - 1;
    this.at = Math.min(last, Math.floor(((now - this.#clock) / 1000) * RATE));
    if (this.at < last) requestAnimationFrame(this.#tick);
    else this.playing = false;
  };

  protected override render(): TemplateResult {
    const s = this.session;
    if (!this.supported || !s?.data) return this.poster();
    return html`
      <div class="split">
        <div>
          <canvas class="plane" part="canvas" role="img" aria-label="Posterior draws of observation ${s.selected} at noise level ${short(this.#sigma)}"></canvas>
          <ul class="legend">
            <li><span class="swatch" style="--c:var(--diffem-posterior)"></span>draws</li>
            ${s.recordedDraws ? html`<li><span class="swatch" style="border-radius:0;--c:var(--diffem-contender)"></span>draws of EM-MMPS</li>` : nothing}
            ${s.data.d === 2 ? html`<li><span class="swatch line" style="--c:var(--diffem-observation)"></span>observation</li>` : nothing}
            <li><span class="swatch" style="background:none;border:1.5px solid var(--diffem-truth)"></span>truth</li>
            ${this.arrows && this.means ? html`<li><span class="swatch line" style="--c:var(--diffem-mean)"></span>a third of σ² times the learned score</li>` : nothing}
          </ul>
        </div>
        <div class="side" part="controls">${this.#controls()} ${this.#chart(s.data)}</div>
      </div>`;
  }

  #controls(): TemplateResult {
    const s = this.session;
    const last = this.#trajectory.states.length - 1;
    const train = !this.#trained;
    return html`
      <div class="controls">
        ${train ? html`<button class="main" ?disabled=${s?.status === 'running' || s?.status === 'loading'} @click=${() => s?.stepLap()}>Train one lap first</button>`
          : html`<button class="main" ?disabled=${last < 1} @click=${() => this.#replay()}>${this.playing ? 'Stop' : reducedMotion() ? 'Next σ' : 'Replay'}</button>`}
        <button ?disabled=${!this.#trained || this.busy} @click=${() => this.#again()}>Draw again</button>
      </div>
      <label><span>Noise level σ <output>${last < 0 ? '–' : short(this.#sigma)}</output></span>
        <input type="range" name="sigma" min="0" max=${Math.max(1, last)} .value=${String(Math.max(0, this.at))} ?disabled=${last < 1}
          aria-valuetext="σ = ${short(this.#sigma)}" @input=${(e: Event) => this.#seek(Number((e.target as HTMLInputElement).value))}></label>
      <label><span>Observation <output>${s?.selected ?? 0}</output></span>
        <input type="range" name="observation" min="0" max=${Math.max(1, (s?.data?.n ?? 1) - 1)} .value=${String(s?.selected ?? 0)}
          @input=${(e: Event) => s?.select(Number((e.target as HTMLInputElement).value))}></label>
      <label class="tick"><input type="checkbox" name="arrows" .checked=${this.arrows}
        @change=${(e: Event) => (this.arrows = (e.target as HTMLInputElement).checked)}> show the learned score</label>
      <p class="status ${this.failure ? 'failed' : ''}" part="status" role="status">${this.failure || this.#note()}</p>`;
  }

  #note(): string {
    const s = this.session;
    if (s?.recordedDraws) return 'These are recorded draws after the last lap of DiffEM and of EM-MMPS on the same observations. Train one lap to sample live.';
    if (s?.status === 'recorded') return 'The run above is a recording. Train one lap here to sample its posterior.';
    return this.#trained ? `The figure shows ${DRAWS} draws from the posterior after lap ${(s?.laps.length ?? 1) - 1}.` : 'No lap has been trained yet.';
  }

  #again(): void {
    this.#seed += 1;
    void this.draw();
  }

  #seek(at: number): void {
    this.playing = false;
    this.at = at;
  }

  /** Draws at the noise level shown, [draws, d]. */
  get points(): Float32Array | undefined {
    return this.#trajectory.states[this.at];
  }

  /** Posterior means of the draws at the noise level shown, [draws, d]; undefined at the last one. */
  get means(): Float32Array | undefined {
    return meansAt(this.#trajectory, this.at);
  }

  get #sigma(): number {
    return this.#trajectory.sigmas[this.at] ?? NaN;
  }

  #chart(data: DataSet): TemplateResult | typeof nothing {
    const points = this.#trajectory.states[this.at];
    if (data.d !== 2 || !points || this.#trajectory.of === undefined) return nothing;
    const noise = Math.max(0.02, this.session?.config.noise ?? 0.05);
    const recorded = this.session?.recordedDraws;
    return lineChart({
      title: 'Posterior density along the line',
      xLabel: 'position along the line',
      xMin: -2.6,
      xMax: 2.6,
      series: [
        { name: 'truth', label: 'exact posterior under the true prior', points: exactDensity(data, this.#trajectory.of, noise) },
        { name: 'posterior', label: 'draws', points: drawDensity(data, this.#trajectory.of, points) },
        ...(recorded ? [{ name: 'contender', label: 'draws of EM-MMPS', points: drawDensity(data, recorded.of, recorded.mmps) }] : []),
      ],
      height: 170,
    });
  }

  protected override paintCanvases(): boolean {
    const canvas = this.renderRoot.querySelector<HTMLCanvasElement>('canvas.plane');
    const s = this.session;
    if (!canvas || !s?.data) return false;
    if (this.#plane?.canvas !== canvas) this.#plane = new Plane(canvas, 2.7);
    const plane = this.#plane;
    const colors = this.palette;
    const pair = this.source?.pair ?? ([0, 1] as const);
    const { states, of } = this.#trajectory;
    const points = states[this.at];
    if (!this.changed(canvas, s.data, pair, s.selected, s.config.noise, of, points, this.arrows, s.recordedDraws, canvas.clientWidth, devicePixelRatio, colors.posterior)) return true;
    plane.begin();
    if (s.data.d === 2) drawBand(plane, colors, s.data, s.selected, s.config.noise);
    drawTruth(plane, colors, s.data, pair);
    if (of !== s.selected) return true;
    this.#trace(plane, s.data.d, pair, colors.posterior);
    if (s.recordedDraws) squares(plane, colors.contender, s.recordedDraws.mmps);
    for (let k = 0; points && k < points.length / s.data.d; k += 1) disc(plane, pointOf(points, s.data.d, k, pair), 2.4, colors.posterior);
    if (this.arrows && points && this.means) drawArrows(plane, points, this.means, s.data.d, pair, colors.mean);
    return true;
  }

  /** Draws the trajectories of a few draws down to the noise level shown. */
  #trace(plane: Plane, d: number, pair: readonly [number, number], color: string): void {
    const g = plane.context;
    g.strokeStyle = color;
    g.globalAlpha = 0.45;
    g.lineWidth = 1;
    for (let k = 0; k < TRACED; k += 1) {
      g.beginPath();
      this.#trajectory.states.slice(0, this.at + 1).forEach((state, i) => {
        const p = pointOf(state, d, k, pair);
        const [x, y] = plane.toPixel(p.x, p.y);
        if (i === 0) g.moveTo(x, y);
        else g.lineTo(x, y);
      });
      g.stroke();
    }
    g.globalAlpha = 1;
  }
}

/** Draws points [n, 2] as squares, which differ from dots without color. */
function squares(plane: Plane, color: string, points: Float32Array): void {
  const g = plane.context;
  g.fillStyle = color;
  for (let k = 0; k < points.length; k += 2) {
    const [x, y] = plane.toPixel(points[k] ?? 0, points[k + 1] ?? 0);
    g.fillRect(x - 2, y - 2, 4, 4);
  }
}
