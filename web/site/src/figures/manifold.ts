// <diffem-manifold>: live training by expectation-maximization, from corrupted observations only.
//
// Attributes: data (heart | curve | manifold | drawn), drawing and thickness (of data drawn by a reader), start
// (gaussian | wide | narrow), seed, observations, noise, laps, steps, selected (index of an observation), device (auto | cpu | webgpu), adapter (software: such a one
// takes part in the race for the faster device), recorded (address of a recorded run to show first), autoplay. Events: diffem-lap, diffem-select, diffem-state. Parts: canvas,
// controls, play, status, chart, poster.
import { type TemplateResult, html, nothing } from 'lit';
import { FigureElement, baseStyles } from '../lib/base';
import { Plane } from '../lib/canvas';
import { chartStyles } from '../lib/chart';
import { reducedMotion } from '../lib/environment';
import { perFrame } from '../lib/frames';
import { type SessionConfig, DATA, DEFAULTS, SELECTED, clamped } from '../session/config';
import { fetchRecorded } from '../session/recorded';
import { type LapRecord, LiveSession } from '../session/session';
import { DrawingMode, drawingStyles } from './drawing-mode';
import { drawFilmstrip, filmstrip, filmstripStyles } from './filmstrip';
import { divergenceChart, lossChart } from './manifold-charts';
import { engineText, legend, phases, pairPicker, statusText } from './manifold-parts';
import { drawRun, nearest } from './manifold-view';

const NUMBERS = ['seed', 'observations', 'noise', 'thickness', 'laps', 'steps'] as const;
type Change = Partial<SessionConfig>;

export class DiffemManifold extends FigureElement {
  static override styles = [baseStyles, chartStyles, filmstripStyles, drawingStyles];
  static override properties = {
    truth: { state: true },
    lines: { state: true },
    pair: { state: true },
  };
  declare truth: boolean;
  declare lines: boolean;
  declare pair: readonly [number, number];

  /** The run, which other figures show too. */
  readonly session = new LiveSession();
  /** Reconstructions in the picture, [n, d]. */
  drawn: Float32Array | undefined;
  #plane: Plane | undefined;
  #redraw = perFrame(() => this.requestUpdate());
  /** Draws one thumbnail per frame. */
  #strip = perFrame(() => {
    if (drawFilmstrip(this.renderRoot, this.session, this.pair, this.palette)) this.#strip();
  });
  #started = false;
  /** Where the reader draws the truth instead of looking at a run. */
  readonly sketch = new DrawingMode({
    place: (event) => {
      const { x, y } = this.#plane?.toPlane(event) ?? { x: 0, y: 0 };
      return [x, y];
    },
    changed: () => this.#redraw(),
    learn: (change) => {
      this.truth = false;
      this.configure(change);
      this.session.play();
    },
  });

  constructor() {
    super();
    this.truth = true;
    this.lines = false;
    this.pair = [0, 1];
    this.session.addEventListener('change', () => this.#redraw());
    this.session.addEventListener('select', () => this.#chosen());
    this.session.addEventListener('lap', (event) => this.#lapDone((event as CustomEvent<LapRecord>).detail));
  }

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.#started || !this.supported) return;
    this.#started = true;
    this.session.config = clamped({ ...this.session.config, ...this.#attributes() });
    // What a reader has drawn is for others to guess.
    this.truth = this.session.config.data !== 'drawn';
    this.addEventListener('dragover', (event) => event.preventDefault());
    this.addEventListener('drop', this.#dropped);
    const device = this.getAttribute('device');
    if (device === 'cpu' || device === 'webgpu') this.session.device = device;
    this.session.software = this.getAttribute('adapter') === 'software';
    if (this.hasAttribute('selected')) this.session.selected = Math.max(0, Math.floor(Number(this.getAttribute('selected')) || 0));
    void this.#first();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.session.watch(this, false);
    this.session.pause();
  }

  /**
   * Shows the recorded run where the author names one and the settings are the default ones; otherwise the
   * data of a live run.
   */
  async #first(): Promise<void> {
    const recorded = this.getAttribute('recorded');
    try {
      if (recorded && sameSettings(this.session.config)) this.session.adopt(await fetchRecorded(new URL(recorded, document.baseURI)));
      else await this.session.prepare();
    } catch {
      // Without a recording the figure starts live; a run that fails says so in the status line.
      if (recorded) await this.session.prepare().catch(() => undefined);
    }
    if (this.hasAttribute('autoplay') && !reducedMotion()) this.session.play();
  }

  #attributes(): Change {
    const change: Record<string, unknown> = {};
    for (const name of NUMBERS) if (this.hasAttribute(name)) change[name] = Number(this.getAttribute(name));
    const [data, start, drawing] = ['data', 'start', 'drawing'].map((name) => this.getAttribute(name));
    if (drawing) change['drawing'] = drawing;
    if (DATA.some((kind) => kind === data)) change['data'] = data;
    if (start === 'gaussian' || start === 'wide' || start === 'narrow') change['start'] = start;
    return change as Change;
  }

  #lapDone({ lap, divergence, floor, loss }: LapRecord): void {
    this.announce('lap', { lap, divergence, floor, loss });
  }

  /** Lets the reader draw; the run pauses. */
  draw(): void {
    this.session.pause();
    this.sketch.open(this.session.config);
  }

  #choose(key: 'data' | 'start', value: string): void {
    if (value === 'drawn') return this.draw();
    if (key === 'data') this.truth = true;
    this.configure({ [key]: value });
  }

  /** A file that is dropped on the figure is drawn. */
  #dropped = (event: DragEvent): void => {
    event.preventDefault();
    const [file] = event.dataTransfer?.files ?? [];
    if (!file) return;
    this.draw();
    void this.sketch.read(file);
  };

  /** Restarts the run with changed settings and announces them. */
  configure(change: Change): void {
    this.pair = [0, 1];
    this.session.reset(change);
    this.#sayState();
  }

  #chosen(): void {
    this.announce('select', { index: this.session.selected });
    this.#sayState();
  }

  /** Announces every setting that is not the default, named as its attribute. */
  #sayState(): void {
    const { config, selected } = this.session;
    const changed = Object.entries(config).filter(([key, value]) => value !== DEFAULTS[key as keyof SessionConfig]);
    this.announce('state', { ...Object.fromEntries(changed), ...(selected === SELECTED ? {} : { selected }), ...(this.session.software ? { adapter: 'software' } : {}) });
  }

  protected override visibilityChanged(): void {
    this.session.watch(this, this.visible);
    super.visibilityChanged();
  }

  protected override render(): TemplateResult {
    const s = this.session;
    if (!this.supported || !s.data) return html`${this.poster()} ${s.status === 'empty' ? nothing : this.#status()}`;
    if (this.sketch.on) return html`<div class="split"><div>${this.sketch.canvas()}</div><div class="side">${this.sketch.controls()}</div></div>`;
    return html`
      <div class="split">
        <div>
          <canvas class="plane" part="canvas" role="img" aria-label=${this.#describe()} @click=${this.#clicked}></canvas>
          ${legend(s, this.truth)} ${this.#ticks()} ${this.#scrubber()} ${filmstrip(s)}
        </div>
        <div class="side">
          <div class="controls" part="controls">${this.#buttons()}</div>
          ${this.#status()}
          <div class="fields" part="controls">${this.#fields()}</div>
          ${phases(s)} ${divergenceChart(s)} ${lossChart(s)}
        </div>
      </div>`;
  }

  #status(): TemplateResult {
    const failed = this.session.status === 'failed';
    return html`<p class="status ${failed ? 'failed' : ''}" part="status" role="status">${statusText(this.session)}</p>
      ${this.session.engine ? html`<p class="status" part="device">${engineText(this.session)}</p>` : nothing}`;
  }

  #buttons(): TemplateResult {
    const s = this.session;
    const running = s.status === 'running';
    return html`
      <button class="main" part="play" @click=${() => (running ? s.pause() : s.play())}>${running ? 'Pause' : 'Play'}</button>
      <button ?disabled=${running} @click=${() => s.stepPhase()} title="Runs to the end of the current M-step or E-step">Step</button>
      <button ?disabled=${running} @click=${() => s.stepLap()}>One lap</button>
      <button @click=${() => this.configure({})}>Reset</button>
      <button part="draw" @click=${() => this.draw()}>Draw your own</button>`;
  }

  #scrubber(): TemplateResult {
    const s = this.session;
    const last = s.laps.length - 1;
    const at = Math.min(s.shownLap ?? last, last);
    return html`
      <label style="margin-top:.5rem"><span>Lap shown <output>${at}</output> of ${last}</span>
        <input type="range" name="lap" min="0" max=${Math.max(1, last)} .value=${String(at)} ?disabled=${last < 1}
          @input=${(e: Event) => this.#scrub(valueOf(e), last)}></label>`;
  }

  #scrub(lap: number, last: number): void {
    this.session.scrub(lap >= last ? undefined : lap);
  }

  #fields(): TemplateResult {
    const c = this.session.config;
    const choose = (key: 'data' | 'start') => (e: Event) => this.#choose(key, (e.target as HTMLSelectElement).value);
    return html`
      <label>Data
        <select name="data" .value=${c.data} @change=${choose('data')}>
          <option value="heart" ?selected=${c.data === 'heart'}>heart in the plane</option>
          <option value="curve" ?selected=${c.data === 'curve'}>trefoil in the plane (slow)</option>
          <option value="manifold" ?selected=${c.data === 'manifold'}>curve in R⁵ (paper)</option>
          <option value="drawn" ?selected=${c.data === 'drawn'}>your own drawing…</option>
        </select></label>
      <label>Start
        <select name="start" @change=${choose('start')}>
          <option value="gaussian" ?selected=${c.start === 'gaussian'}>fitted Gaussian</option>
          <option value="wide" ?selected=${c.start === 'wide'}>too wide</option>
          <option value="narrow" ?selected=${c.start === 'narrow'}>too narrow</option>
        </select></label>
      <label>Seed
        <input type="number" name="seed" min="0" step="1" .value=${String(c.seed)} @change=${(e: Event) => this.configure({ seed: valueOf(e) })}></label>
      ${pairPicker(this.session, this.pair, (pair) => (this.pair = pair))}`;
  }

  #ticks(): TemplateResult {
    const tick = (name: 'truth' | 'lines', label: string): TemplateResult => html`
      <label class="tick"><input type="checkbox" name=${name} .checked=${this[name]} @change=${(e: Event) => (this[name] = checked(e))}> ${label}</label>`;
    const planar = this.session.data?.d === 2;
    return html`<div class="controls" style="column-gap:1.4rem">${tick('truth', 'show the truth')} ${planar ? tick('lines', 'show some observations') : nothing}</div>`;
  }

  #describe(): string {
    const s = this.session;
    const d = s.shown?.divergence;
    return `Point cloud of ${s.data?.n ?? 0} reconstructions after lap ${s.shown?.lap ?? 0}${d === undefined ? '' : `, divergence ${d.toPrecision(2)} from the truth`}`;
  }

  #clicked = (event: MouseEvent): void => {
    const { data, cloud } = this.session;
    if (this.#plane && data && cloud) this.session.select(nearest(cloud, data.d, this.pair, this.#plane.toPlane(event)));
  };

  protected override paintCanvases(): boolean {
    const canvas = this.renderRoot.querySelector<HTMLCanvasElement>('canvas.plane');
    const s = this.session;
    if (!canvas || !s.data) return false;
    if (this.#plane?.canvas !== canvas) this.#plane = new Plane(canvas, 2.7);
    if (this.sketch.on) {
      this.sketch.paint(this.#plane, this.palette, this.shadowRoot?.activeElement === canvas && canvas.matches(':focus-visible'));
      return true;
    }
    const cloud = reducedMotion() ? s.shown?.cloud : s.cloud;
    this.drawn = cloud;
    const behind = s.shown && s.shown.lap > 0 ? s.laps[0]?.cloud : undefined;
    const { truth, lines, pair, palette } = this;
    const { data, selected, config } = s;
    // During the M-step only the bars and the loss change, so the picture is not drawn again.
    if (this.changed(canvas, cloud, behind, data, pair, truth, lines, selected, config.noise, canvas.clientWidth, devicePixelRatio, palette.posterior)) {
      drawRun(this.#plane, palette, { data, cloud, behind, pair, truth, lines, selected, noise: config.noise, moving: cloud !== s.shown?.cloud });
    }
    this.#strip();
    return true;
  }
}

const valueOf = (event: Event): number => Number((event.target as HTMLInputElement).value);
const checked = (event: Event): boolean => (event.target as HTMLInputElement).checked;

/** Whether the settings are those of the recorded run, which has the default ones. */
function sameSettings(config: SessionConfig): boolean {
  return (Object.keys(DEFAULTS) as (keyof SessionConfig)[]).every((key) => config[key] === DEFAULTS[key]);
}
