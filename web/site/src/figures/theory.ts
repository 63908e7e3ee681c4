// <diffem-theory>: expectation-maximization in closed form, for a scalar Gaussian signal with Gaussian noise.
//
// The signal is x ~ N(0, s*), the observation y = x + N(0, n) and the prior of lap k N(0, s_k).
// Attributes: start (s_0), noise (n).
import { type TemplateResult, html } from 'lit';
import { gaussianRun } from 'diffem';
import { latest, messageOf } from '../lib/async';
import { FigureElement } from '../lib/base';
import { lineChart } from '../lib/chart';
import { short } from '../lib/format';
import { whenIdle } from '../lib/environment';

/** Variance s* of the truth. */
const TRUTH = 1;
const LAPS = 40;
/** Smallest divergence that is drawn. */
const MIN_DRAWN = 1e-8;
const PRESETS = [
  { name: 'too narrow', start: 0.02, noise: 4 },
  { name: 'too wide', start: 10, noise: 1 },
  { name: 'high noise', start: 10, noise: 12 },
] as const;

const DEFAULT = { start: 10, noise: 1 } as const;

/**
 * One value per lap: the variance of the prior, the KL divergence between the distributions of observations,
 * and its bound.
 */
interface GaussianRun extends Asked {
  variance: number[];
  kl: number[];
  bound: number[];
}

interface Asked {
  start: number;
  noise: number;
}

export class DiffemTheory extends FigureElement {
  static override properties = { start: { type: Number, reflect: true }, noise: { type: Number, reflect: true }, lap: { state: true }, run: { state: true }, failure: { state: true } };
  declare start: number;
  declare noise: number;
  declare lap: number;
  declare run: GaussianRun | undefined;
  declare failure: string;

  #ask = latest<Asked>(async ({ start, noise }) => {
    try {
      const { variance, kl, bound } = await gaussianRun({ truth: TRUTH, noise, start, laps: LAPS });
      this.run = { start, noise, variance: [...variance], kl: [...kl], bound: [...bound] };
      this.failure = '';
    } catch (error) {
      this.failure = messageOf(error);
    }
  });

  constructor() {
    super();
    Object.assign(this, { ...DEFAULT, lap: 3, failure: '' });
  }

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.supported) void whenIdle().then(() => this.#ask({ start: this.start, noise: this.noise }));
  }

  #set(change: Partial<Asked>): void {
    Object.assign(this, change);
    this.#ask({ start: this.start, noise: this.noise });
    this.announce('state', {
      ...(this.start === DEFAULT.start ? {} : { start: this.start }),
      ...(this.noise === DEFAULT.noise ? {} : { noise: this.noise }),
    });
  }

  protected override render(): TemplateResult {
    const run = this.run;
    if (!this.supported || !run) return html`${this.poster()}<p class="status" role="status">${this.failure}</p>`;
    return html`
      <div class="fields" part="controls">
        ${this.#slider('start', 'Variance of the initial prior, s₀', 0.01, 100)}
        ${this.#slider('noise', 'Variance of the noise, n', 0.05, 20)}
        <label><span>Lap <output>${this.lap}</output></span>
          <input type="range" name="lap" min="0" max=${LAPS} .value=${String(this.lap)} @input=${(e: Event) => (this.lap = Number((e.target as HTMLInputElement).value))}></label>
      </div>
      <div class="controls" style="margin:.6rem 0 1rem">
        ${PRESETS.map((p) => html`<button aria-pressed=${p.start === this.start && p.noise === this.noise} @click=${() => this.#set({ start: p.start, noise: p.noise })}>${p.name}</button>`)}
      </div>
      <div class="charts">${densities(run, this.lap)} ${this.#variances(run)} ${this.#divergences(run)}</div>
      <p class="status" part="status" role="status">${this.failure || reading(run, this.lap)}</p>`;
  }

  /** A slider on a logarithmic scale. */
  #slider(name: keyof Asked, label: string, low: number, high: number): TemplateResult {
    const at = Math.log(this[name] / low) / Math.log(high / low);
    const moved = (e: Event): void => this.#set({ [name]: Number((low * (high / low) ** Number((e.target as HTMLInputElement).value)).toPrecision(2)) });
    return html`<label><span>${label} <output>${short(this[name])}</output></span>
      <input type="range" name=${name} min="0" max="1" step="0.005" .value=${String(at)} aria-valuetext=${short(this[name])} @input=${moved}></label>`;
  }

  #pick = (lap: number): void => {
    this.lap = lap;
  };

  #variances(run: GaussianRun): TemplateResult {
    return lineChart({
      title: 'Variance of the prior',
      xLabel: 'lap k (click to choose)',
      xMax: LAPS,
      log: true,
      series: [
        { name: 'truth', label: 'truth, s* = 1', points: [[0, TRUTH], [LAPS, TRUTH]] },
        { name: 'prior', label: 'prior after lap k', points: indexed(run.variance), dots: true },
      ],
      marked: this.lap,
      pick: this.#pick,
    });
  }

  #divergences(run: GaussianRun): TemplateResult {
    return lineChart({
      title: 'KL divergence of observations',
      xLabel: 'lap K (click to choose)',
      xMax: LAPS,
      log: true,
      series: [
        { name: 'bound', label: 'bound on the mean', points: indexed(run.bound) },
        { name: 'prior', label: 'lap K', points: indexed(run.kl).filter(([, v]) => v > MIN_DRAWN) },
        // The mean is dashed and drawn last, so that a reader sees both lines where they coincide.
        { name: 'mean', label: 'mean over laps 0 to K', points: indexed(means(run.kl)) },
      ],
      marked: this.lap,
      pick: this.#pick,
    });
  }
}

const indexed = (values: readonly number[]): (readonly [number, number])[] => values.map((v, k) => [k, v] as const);

/** Mean of the first K + 1 values for every K, which is what the theorem bounds. */
function means(values: readonly number[]): number[] {
  let sum = 0;
  return values.map((v, k) => (sum += v) / (k + 1));
}

function densities(run: GaussianRun, lap: number): TemplateResult {
  const bell = (variance: number): (readonly [number, number])[] =>
    Array.from({ length: 301 }, (_, i) => {
      const x = -6 + i / 25;
      return [x, Math.exp((-0.5 * x * x) / variance) / Math.sqrt(2 * Math.PI * variance)] as const;
    });
  const shown = [TRUTH, run.variance[0] ?? 1, run.variance[lap] ?? 1];
  return lineChart({
    title: `Prior after lap ${lap}`,
    xLabel: 'x',
    xMin: -6,
    xMax: 6,
    yDomain: [0, 1.15 * Math.max(...shown.map((variance) => bell(variance)[150]?.[1] ?? 0))],
    series: [
      { name: 'truth', label: 'truth', points: bell(TRUTH) },
      { name: 'start', label: 'initial prior', points: bell(run.variance[0] ?? 1) },
      { name: 'prior', label: `prior after lap ${lap}`, points: bell(run.variance[lap] ?? 1) },
    ],
  });
}

function reading(run: GaussianRun, lap: number): string {
  const [s, kl] = [run.variance[lap] ?? NaN, run.kl[lap] ?? NaN];
  const moved = Math.abs(Math.log(s / (run.variance[0] ?? s)));
  const whole = Math.abs(Math.log(TRUTH / (run.variance[0] ?? TRUTH)));
  const share = whole > 0.01 ? ` On a logarithmic scale, the variance has covered ${Math.round((100 * moved) / whole)} % of the way to the truth.` : '';
  return `After lap ${lap} the prior has variance ${short(s)}. The KL divergence between the true and the implied distribution of observations is ${short(kl)} nats.${share}`;
}
