// One live run, shared by every figure that shows it. It owns the worker's lab, asks it for one unit of work at a time,
// and keeps what came back; it draws nothing. "change" is dispatched after every change.
import { type LabProgress, ManifoldLab, type SampleOptions } from 'diffem';
import { abortable, isAbort, messageOf } from '../lib/async';
import { DEFAULTS, SELECTED, type SessionConfig, clamped, labConfig } from './config';
import type { Recorded, RecordedDraws } from './recorded';

/** Observations and, for the reader's eyes only, clean points. Row-major: y [n, m], a [n, m, d], truth [k, d]. */
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
  phase: LabProgress['phase'];
  fraction: number;
  sigma?: number;
  cloud?: Float32Array;
}

export class LabSession extends EventTarget {
  config: SessionConfig;
  status: Status = 'empty';
  error = '';
  data: DataSet | undefined;
  laps: LapRecord[] = [];
  live: Live | undefined;
  /** Losses of the M-steps so far, a value for each unit of work; `at`: laps passed by then, fractions included. */
  losses: { lap: number; at: number; value: number }[] = [];
  #recordedDraws: RecordedDraws[] = [];
  /** Lap that figures show; undefined follows the run. */
  shownLap: number | undefined;
  /** Index of the observation that figures single out. */
  selected = SELECTED;
  device: 'auto' | 'cpu' | 'webgpu' = 'auto';

  /** Figures on screen that show the run: without one it rests between two units. */
  readonly #watchers = new Set<object>();
  #lab: ManifoldLab | undefined;
  #abort = new AbortController();
  #opening: Promise<ManifoldLab> | undefined;
  #wanted: 'run' | 'phase' | 'lap' | undefined;
  #looping = false;

  constructor(config: Partial<SessionConfig> = {}) {
    super();
    this.config = clamped({ ...DEFAULTS, ...config });
  }

  /** Shows a recorded run until the first live one begins. */
  adopt(recorded: Recorded): void {
    if (this.status !== 'empty') return;
    this.data = recorded.data;
    this.laps = recorded.laps;
    this.#recordedDraws = recorded.draws;
    this.status = 'recorded';
    this.#changed();
  }

  /** Told by a figure when it enters or leaves the screen. */
  watch(figure: object, visible: boolean): void {
    if (visible) this.#watchers.add(figure);
    else this.#watchers.delete(figure);
  }

  /** The record that figures show, if a finished lap is shown. */
  get shown(): LapRecord | undefined {
    return this.shownLap === undefined ? this.laps.at(-1) : (this.laps[this.shownLap] ?? this.laps.at(-1));
  }

  /** The points to draw: a lap's, or those on their way in the E-step. */
  get cloud(): Float32Array | undefined {
    const moving = this.shownLap === undefined ? this.live?.cloud : undefined;
    return moving ?? this.shown?.cloud;
  }

  /** Recorded draws of the selected observation, while the recorded run is shown. */
  get recordedDraws(): RecordedDraws | undefined {
    return this.status === 'recorded' ? this.#recordedDraws.find(({ of }) => of === this.selected) : undefined;
  }

  play(): void {
    this.#want('run');
  }

  /** Runs to the end of the M-step or E-step under way. */
  stepPhase(): void {
    this.#want('phase');
  }

  /** Runs to the end of the lap under way. */
  stepLap(): void {
    this.#want('lap');
  }

  pause(): void {
    this.#wanted = undefined;
    if (this.status === 'running') this.status = 'paused';
    this.#changed();
  }

  /** Starts anew, with `change` to the configuration. The data are fetched at once, training waits for play. */
  reset(change: Partial<SessionConfig> = {}): void {
    this.config = clamped({ ...this.config, ...change });
    this.close();
    Object.assign(this, { live: undefined, shownLap: undefined, losses: [], error: '' });
    void this.#open().catch(() => undefined);
  }

  scrub(lap: number | undefined): void {
    this.shownLap = lap;
    this.#changed();
  }

  select(index: number): void {
    const last = (this.data?.n ?? 1) - 1;
    const next = Math.max(0, Math.min(last, Math.round(index)));
    if (next === this.selected) return;
    this.selected = next;
    this.dispatchEvent(new Event('select'));
    this.#changed();
  }

  /** Makes the lab ready without training. */
  async prepare(): Promise<void> {
    await this.#open();
  }

  /** Draws from the posterior of observation `i` under the network as it stands. */
  async posterior(i: number, options: SampleOptions): Promise<Float32Array> {
    const lab = await this.#open();
    return abortable(lab.posterior(i, options), this.#abort.signal);
  }

  close(): void {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#lab?.close();
    this.#lab = undefined;
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

  #open(): Promise<ManifoldLab> {
    this.#opening ??= this.#create().catch((error: unknown) => {
      if (!isAbort(error)) this.#fail(error);
      throw error;
    });
    return this.#opening;
  }

  async #create(): Promise<ManifoldLab> {
    const { signal } = this.#abort;
    this.status = 'loading';
    this.#changed();
    const lab = await ManifoldLab.create(labConfig(this.config), this.config.seed, { device: this.device, signal });
    try {
      const first = await lab.step();
      const [truth, { y, a }, cloud] = await Promise.all([lab.truth(), lab.observations(), lab.cloud()]);
      signal.throwIfAborted();
      const { d, m, observations: n } = lab.info;
      this.#lab = lab;
      this.data = { d, m, n, y, a, truth };
      this.selected = Math.min(this.selected, n - 1);
      this.laps = [record(0, cloud, first)];
    } catch (error) {
      lab.close();
      signal.throwIfAborted();
      throw error;
    }
    this.status = this.#wanted ? 'running' : 'paused';
    this.#changed();
    return lab;
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
        const lab = await this.#open();
        if (!this.#watchers.size) await this.#seen();
        if (!this.#wanted) break;
        this.status = 'running';
        const progress = await abortable(lab.step(), this.#abort.signal);
        if (lab === this.#lab) await this.#apply(lab, progress);
      }
    } catch (error) {
      if (!isAbort(error) && this.status !== 'failed') this.#fail(error);
    }
    this.#looping = false;
    // Reset and played again while the last unit of the old run was under way.
    if (this.#wanted && this.#opening) void this.#loop();
  }

  /** Resolves when the run is on screen again, or no longer wanted. */
  async #seen(): Promise<void> {
    while (!this.#watchers.size && this.#wanted) await new Promise((resolve) => setTimeout(resolve, 100));
  }

  async #apply(lab: ManifoldLab, p: LabProgress): Promise<void> {
    if (p.loss !== undefined) this.losses.push({ lap: p.lap, at: p.lap + p.fraction, value: p.loss });
    const finished = p.lap >= this.laps.length;
    this.live = finished ? undefined : { phase: p.phase, fraction: p.fraction, ...pick(p) };
    if (finished) {
      const cloud = await lab.cloud();
      if (lab !== this.#lab) return;
      this.laps.push(record(p.lap, cloud, p, this.#lapLoss(p.lap - 1)));
      this.dispatchEvent(new Event('lap'));
    }
    this.#settle(p, finished);
    this.#changed();
  }

  /** Whether to go on after this unit. */
  #settle(p: LabProgress, lapFinished: boolean): void {
    const phaseOver = lapFinished || p.fraction >= 1;
    if (p.phase === 'done' || this.laps.length > this.config.laps) {
      this.status = 'done';
      this.#wanted = undefined;
    } else if ((this.#wanted === 'phase' && phaseOver) || (this.#wanted === 'lap' && lapFinished)) {
      this.pause();
    }
  }

  #lapLoss(lap: number): number | undefined {
    const values = this.losses.filter((l) => l.lap === lap).map((l) => l.value);
    const tail = values.slice(-Math.max(1, Math.ceil(values.length / 10)));
    return tail.length ? tail.reduce((s, v) => s + v, 0) / tail.length : undefined;
  }
}

function pick(p: LabProgress): Partial<Live> {
  return { ...(p.sigma === undefined ? {} : { sigma: p.sigma }), ...(p.cloud === undefined ? {} : { cloud: p.cloud }) };
}

function record(lap: number, cloud: Float32Array, p: LabProgress, loss?: number): LapRecord {
  return {
    lap,
    cloud,
    ...(p.divergence === undefined ? {} : { divergence: p.divergence }),
    ...(p.floor === undefined ? {} : { floor: p.floor }),
    ...(loss === undefined ? {} : { loss }),
  };
}
