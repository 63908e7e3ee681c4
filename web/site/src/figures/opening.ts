// <diffem-opening for=ID>: a few seconds that say what the page is about. The observations of the recorded run
// appear as lines; then its reconstructions move along them, lap by lap, until they form the curve.
import { type TemplateResult, html } from 'lit';
import { Plane } from '../lib/canvas';
import { reducedMotion } from '../lib/environment';
import type { DataSet, LapRecord } from '../session/session';
import { LinkedFigure } from './linked';
import { rowOf } from './manifold-view';

/** Length of the film; what starts by itself ends within five seconds. */
const SECONDS = 4.8;
const LINES = 110;
/** Shares of the film: all lines are there, points begin to appear, laps begin, the last lap is reached. */
const AT = { lines: 0.3, points: 0.28, laps: 0.38, end: 0.97 };

export class DiffemOpening extends LinkedFigure {
  static override properties = { at: { state: true }, playing: { state: true } };
  /** Share of the film that has been shown. */
  declare at: number;
  declare playing: boolean;

  #run: { data: DataSet; laps: readonly LapRecord[] } | undefined;
  #plane: Plane | undefined;
  #clock = 0;

  constructor() {
    super();
    Object.assign(this, { at: 1, playing: false });
  }

  /** Keeps the recorded run, because a live one replaces it. */
  protected override sessionChanged(): void {
    const s = this.session;
    if (this.#run || s?.status !== 'recorded' || !s.data) return;
    this.#run = { data: s.data, laps: s.laps };
    if (!reducedMotion()) this.#play();
  }

  /** This figure does not show the live run, which therefore does not go on for it. */
  protected override visibilityChanged(): void {
    if (this.visible) this.requestUpdate();
    else this.#stop();
  }

  #play(): void {
    Object.assign(this, { at: 0, playing: true });
    this.#clock = performance.now();
    requestAnimationFrame(this.#tick);
  }

  #stop(): void {
    Object.assign(this, { at: 1, playing: false });
  }

  #tick = (now: number): void => {
    if (!this.playing) return;
    this.at = Math.min(1, Math.max(0, now - this.#clock) / (1000 * SECONDS));
    if (this.at < 1) requestAnimationFrame(this.#tick);
    else this.playing = false;
  };

  protected override render(): TemplateResult {
    if (!this.#run) return this.poster();
    return html`
      <canvas class="plane" part="canvas" role="img" aria-label="Lines, each an observation, and the curve that is reconstructed from them"></canvas>
      <div class="controls" part="controls" style="margin-top:.4rem;justify-content:flex-end">
        <button @click=${() => (this.playing ? this.#stop() : this.#play())}>${this.playing ? 'Stop' : reducedMotion() ? 'Watch' : 'Replay'}</button>
      </div>`;
  }

  protected override paintCanvases(): boolean {
    const canvas = this.renderRoot.querySelector<HTMLCanvasElement>('canvas.plane');
    if (!canvas || !this.#run) return false;
    if (this.#plane?.canvas !== canvas) this.#plane = new Plane(canvas, 2.5);
    const colors = this.palette;
    if (!this.changed(canvas, this.at, canvas.clientWidth, devicePixelRatio, colors.posterior)) return true;
    const { data, laps } = this.#run;
    const plane = this.#plane;
    plane.begin();
    const moved = between(AT.laps, AT.end, this.at);
    for (let i = 0; i < LINES * between(0, AT.lines, this.at); i += 1) plane.strokeLine(rowOf(data, i), data.y[i] ?? 0, colors.observation, 1, 0.4 - 0.28 * moved);
    const size = Math.max(1.6, plane.width / 130);
    plane.dots(pointsAt(laps, moved), data.d, [0, 1], colors.posterior, size, 0.7 * between(AT.points, AT.laps, this.at));
    return true;
  }
}

/** How far `at` has come from `from` to `to`, in [0, 1]. */
const between = (from: number, to: number, at: number): number => Math.max(0, Math.min(1, (at - from) / (to - from)));

/** Reconstructions at share `moved` of the laps, which are slower at first, where they differ most. */
function pointsAt(laps: readonly LapRecord[], moved: number): Float32Array {
  const place = (laps.length - 1) * moved ** 1.7;
  const [before, after] = [laps[Math.floor(place)]?.cloud, laps[Math.ceil(place)]?.cloud];
  if (!before || !after) return new Float32Array();
  const share = place - Math.floor(place);
  const eased = share * share * (3 - 2 * share);
  return before.map((v, i) => v + eased * ((after[i] ?? v) - v));
}
