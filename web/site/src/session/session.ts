// One live run, shared by every figure that shows it. The session owns the worker that trains, requests one
// unit of work at a time and keeps the results. It dispatches "change" after every change, "lap" with the record of every
// lap that has its score, and "select" for a new selection.
import { type LiveProgress, LiveTraining, type Race, type SampleOptions } from 'diffem';
import { abortable, isAbort, messageOf } from '../lib/async';
import { DEFAULTS, SELECTED, type SessionConfig, clamped, liveConfig } from './config';
import type { Recorded, RecordedDraws } from './recorded';

/**
 * Observations, and clean points that only the reader sees. Row-major: y [n, m], a [n, m, d], truth [k, d].
 */
export interface DataSet {
  d: number;
  m: number;
  n: number;
  y: Float32Array;
  a: Float32Array;
  truth: Float32Array;
}

export interface LapRecord {
  lap: number;
  cloud: Float32Array;
  divergence?: number;
  floor?: number;
  /** Mean loss of the lap's M-step; none for the start. */
  loss?: number;
}

export type Status = 'empty' | 'recorded' | 'loading' | 'paused' | 'running' | 'done' | 'failed';

export interface Live {
  phase: LiveProgress['phase'];
  fraction: number;
  sigma?: number;
  cloud?: Float32Array;
}

export class LiveSession extends EventTarget {
  config: SessionConfig;
  status: Status = 'empty';
  error = '';
  data: DataSet | undefined;
  laps: LapRecord[] = [];
  live: Live | undefined;
  /** Training losses, one per unit of work; `at` is the number of laps done by then, with its fraction. */
  losses: { lap: number; at: number; value: number }[] = [];
  #recordedDraws: RecordedDraws[] = [];
  /** Lap that figures show; undefined for the current one. */
  shownLap: number | undefined;
  /** Index of the selected observation. */
  selected = SELECTED;
  device: 'auto' | 'cpu' | 'webgpu' = 'auto';
  /** Lets a software adapter take part in the race for the faster device. */
  software = false;

  /** Figures on screen that show the run; the run rests between two units while there are none. */
  readonly #watchers = new Set<object>();
  #training: LiveTraining | undefined;
  #abort = new AbortController();
  #opening: Promise<LiveTraining> | undefined;
  #wanted: 'run' | 'phase' | 'lap' | undefined;
  #looping = false;

  constructor(config: Partial<SessionConfig> = {}) {
    super();
    this.config = clamped({ ...DEFAULTS, ...config });
  }

  /** The device that trains, and what is known of the race for it; undefined before a live run. */
  get engine(): { device: 'cpu' | 'webgpu'; racing: boolean; race: Race | undefined } | undefined {
    const t = this.#training;
    return t && { device: t.info.device, racing: t.racing, race: t.race };
  }

  /** Shows a recorded run until a live one begins. */
  adopt(recorded: Recorded): void {
    if (this.status !== 'empty') return;
    this.data = recorded.data;
    this.laps = recorded.laps;
    this.#recordedDraws = recorded.draws;
    this.status = 'recorded';
    this.#changed();
  }

  /** Called by a figure when it enters or leaves the screen. */
  watch(figure: object, visible: boolean): void {
    if (visible) this.#watchers.add(figure);
    else this.#watchers.delete(figure);
  }

  /** Record of the lap that figures show. */
  get shown(): LapRecord | undefined {
    return this.shownLap === undefined ? this.laps.at(-1) : (this.laps[this.shownLap] ?? this.laps.at(-1));
  }

  /** Points to draw, [n, d]: the reconstructions of a lap, or the current state of the E-step. */
  get cloud(): Float32Array | undefined {
    const moving = this.shownLap === undefined ? this.live?.cloud : undefined;
    return moving ?? this.shown?.cloud;
  }

  /** Recorded draws of the selected observation; undefined once a live run is shown. */
  get recordedDraws(): RecordedDraws | undefined {
    return this.status === 'recorded' ? this.#recordedDraws.find(({ of }) => of === this.selected) : undefined;
  }

  /** Runs until all laps are done. */
  play(): void {
    this.#want('run');
  }

  /** Runs to the end of the current M-step or E-step. */
  stepPhase(): void {
    this.#want('phase');
  }

  /** Runs to the end of the current lap. */
  stepLap(): void {
    this.#want('lap');
  }

  /** Stops after the current unit of work. */
  pause(): void {
    this.#wanted = undefined;
    if (this.status === 'running') this.status = 'paused';
    this.#changed();
  }

  /** Restarts with `change` to the configuration. The data are drawn at once; training waits for `play`. */
  reset(change: Partial<SessionConfig> = {}): void {
    this.config = clamped({ ...this.config, ...change });
    this.close();
    Object.assign(this, { live: undefined, shownLap: undefined, losses: [], error: '' });
    void this.#open().catch(() => undefined);
  }

  /** Shows the reconstructions of `lap`, or follows the run where it is undefined. */
  scrub(lap: number | undefined): void {
    this.shownLap = lap;
    this.#changed();
  }

  /** Selects the observation with this index, clamped to those there are. */
  select(index: number): void {
    const last = (this.data?.n ?? 1) - 1;
    const next = Math.max(0, Math.min(last, Math.round(index)));
    if (next === this.selected) return;
    this.selected = next;
    this.dispatchEvent(new Event('select'));
    this.#changed();
  }

  /** Opens the live run without training. */
  async prepare(): Promise<void> {
    await this.#open();
  }

  /** Draws from the posterior of observation `i` under the current network, [draws * d]. */
  async posterior(i: number, options: SampleOptions): Promise<Float32Array> {
    const training = await this.#open();
    return abortable(training.posterior(i, options), this.#abort.signal);
  }

  /** Ends the live run and its worker. */
  close(): void {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#training?.close();
    this.#training = undefined;
    this.#opening = undefined;
    this.#wanted = undefined;
  }

  #changed(): void {
    this.dispatchEvent(new Event('change'));
  }

  #want(what: 'run' | 'phase' | 'lap'): void {
    if (this.status === 'done' || this.status === 'failed') this.reset();
    this.#wanted = what;
    this.shownLap = undefined;
    if (!this.#looping) void this.#loop();
  }

  #open(): Promise<LiveTraining> {
    this.#opening ??= this.#create().catch((error: unknown) => {
      if (!isAbort(error)) this.#fail(error);
      throw error;
    });
    return this.#opening;
  }

  async #create(): Promise<LiveTraining> {
    const { signal } = this.#abort;
    this.status = 'loading';
    this.#changed();
    const training = await LiveTraining.create(liveConfig(this.config), this.config.seed, { device: this.device, software: this.software, signal });
    try {
      const first = await training.step();
      const [truth, { y, a }, cloud] = await Promise.all([training.truth(), training.observations(), training.cloud()]);
      signal.throwIfAborted();
      const { d, m, observations: n } = training.info;
      this.#training = training;
      this.data = { d, m, n, y, a, truth };
      this.selected = Math.min(this.selected, n - 1);
      this.laps = [{ lap: first.lap, cloud }];
    } catch (error) {
      training.close();
      signal.throwIfAborted();
      throw error;
    }
    this.status = this.#wanted ? 'running' : 'paused';
    this.#changed();
    void this.#score(training);
    return training;
  }

  #fail(error: unknown): void {
    this.status = 'failed';
    this.error = messageOf(error);
    this.#wanted = undefined;
    this.#changed();
  }

  async #loop(): Promise<void> {
    this.#looping = true;
    try {
      while (this.#wanted) {
        const training = await this.#open();
        if (!this.#watchers.size) await this.#seen();
        if (!this.#wanted) break;
        this.status = 'running';
        const progress = await abortable(training.step(), this.#abort.signal);
        if (training === this.#training) await this.#apply(training, progress);
      }
    } catch (error) {
      if (!isAbort(error) && this.status !== 'failed') this.#fail(error);
    }
    this.#looping = false;
    // The run was reset and started again while the last unit of the old run was being computed.
    if (this.#wanted && this.#opening) void this.#loop();
  }

  /** Resolves when a figure of the run is on screen again, or when the run is paused. */
  async #seen(): Promise<void> {
    while (!this.#watchers.size && this.#wanted) await new Promise((resolve) => setTimeout(resolve, 100));
  }

  async #apply(training: LiveTraining, p: LiveProgress): Promise<void> {
    if (p.loss !== undefined) this.losses.push({ lap: p.lap, at: p.lap + p.fraction, value: p.loss });
    const finished = p.lap >= this.laps.length;
    this.live = finished ? undefined : { phase: p.phase, fraction: p.fraction, ...pick(p) };
    if (finished) {
      const cloud = await training.cloud();
      if (training !== this.#training) return;
      const loss = this.#lapLoss(p.lap - 1);
      this.laps.push({ lap: p.lap, cloud, ...(loss === undefined ? {} : { loss }) });
      const scored = this.#score(training);
      // Where the run rests now, the score comes first.
      if (this.#over(p) || this.#wanted !== 'run') await scored;
      if (training !== this.#training) return;
    }
    this.#settle(p, finished);
    this.#changed();
  }

  /** Adds its score to the last lap. The run goes on meanwhile; where no score can be had, the chart lacks a point. */
  async #score(training: LiveTraining): Promise<void> {
    const lap = this.laps.at(-1);
    if (!lap) return;
    const score = await training.score(lap.cloud).catch(() => undefined);
    if (training !== this.#training) return;
    Object.assign(lap, score);
    if (lap.lap > 0) this.dispatchEvent(new CustomEvent<LapRecord>('lap', { detail: lap }));
    this.#changed();
  }

  /** Whether all laps are done. */
  #over(p: LiveProgress): boolean {
    return p.phase === 'done' || this.laps.length > this.config.laps;
  }

  /** Decides whether the run goes on after this unit of work. */
  #settle(p: LiveProgress, lapFinished: boolean): void {
    const phaseOver = lapFinished || p.fraction >= 1;
    if (this.#over(p)) {
      this.status = 'done';
      this.#wanted = undefined;
    } else if ((this.#wanted === 'phase' && phaseOver) || (this.#wanted === 'lap' && lapFinished)) {
      this.pause();
    }
  }

  /** Mean of the last tenth of the losses of `lap`. */
  #lapLoss(lap: number): number | undefined {
    const values = this.losses.filter((l) => l.lap === lap).map((l) => l.value);
    const tail = values.slice(-Math.max(1, Math.ceil(values.length / 10)));
    return tail.length ? tail.reduce((s, v) => s + v, 0) / tail.length : undefined;
  }
}

function pick(p: LiveProgress): Partial<Live> {
  return { ...(p.sigma === undefined ? {} : { sigma: p.sigma }), ...(p.cloud === undefined ? {} : { cloud: p.cloud }) };
}
