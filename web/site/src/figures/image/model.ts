// State of <diffem-posterior>: a loaded checkpoint, one picture, one observation of it, and posterior draws.
// Draws that were sampled before are kept, because they depend on picture, observation and seed only.
import { type Example, type Observation, type Posterior, type SamplerKind, load } from 'diffem';
import { isAbort, messageOf } from '../../lib/async';
import { hasLines, hasRate, withRate } from './channel';
import { Kept } from './kept';
import { readPictures } from '../../files/pictures';
import { type Moments, type Shape, moments, pixelCount, psnr, rangeOf } from './pixels';
import { inverse, logMagnitudes } from './spectrum';

export interface ModelOptions {
  draws: number;
  steps: number | undefined;
  sampler: SamplerKind | undefined;
  device: 'auto' | 'cpu' | 'webgpu';
}

/** An example, or what the reader has brought. */
export interface Own extends Example {
  /** 0 where the picture itself is missing, such as where it is transparent, [height, width]. */
  known?: Float32Array;
}

/** Workers that share the draws, as many as there are cores, up to this number. */
const WORKERS = 4;

/** Seed of the noise where the reader chooses lines: the same for every choice, so that only the choice matters. */
const NOISE = 0;

export class PosteriorModel extends EventTarget {
  posterior: Posterior | undefined;
  shape: Shape = { channels: 1, height: 1, width: 1 };
  d = 1;
  /** Whether observations are lines of frequencies, and not pixels. */
  hasLines = false;
  /** Clean pictures to choose from, instead of the examples of the checkpoint. */
  pictures: readonly Float32Array[] = [];
  /** Pictures or observations that the reader has brought, instead of those of the page. */
  own: readonly Own[] = [];
  example = 0;
  x: Float32Array | undefined;
  observation: Observation | undefined;
  /** Logarithms of the magnitudes of all frequencies, [height, width], where observations are lines. */
  spectrum: Float32Array | undefined;
  /** The picture whose frequencies are 0 where they are not measured. */
  zeroFilled: Float32Array | undefined;
  /** Finished draws, or the posterior means of unfinished ones, [draws, d]. */
  draws: Float32Array | undefined;
  progress: { step: number; steps: number; sigma: number } | undefined;
  loaded = 0;
  failure = '';
  /** Time that the finished draws took, in seconds; undefined for unfinished ones. */
  seconds: number | undefined;
  /** Number of workers that shared the draws. */
  workers = 1;
  seed = 0;
  range: readonly [number, number] = [-2, 2];
  #abort: AbortController | undefined;
  /** Names the observation: its picture, and the seed of its noise where it was made here. */
  #name = '';
  /** Counts what the reader has brought, so that draws of one are not taken for those of another. */
  #brought = 0;
  #moments: { of?: Float32Array; values?: Moments } = {};
  #kept = new Kept<{ draws: Float32Array; seconds: number; workers: number }>();

  constructor(readonly options: ModelOptions) {
    super();
  }

  get ready(): boolean {
    return this.posterior !== undefined && this.observation !== undefined;
  }

  get busy(): boolean {
    return this.progress !== undefined;
  }

  /** Whether the reader can choose the rate at which pixels are hidden at random. */
  get thins(): boolean {
    return this.x !== undefined && hasRate(this.posterior?.info.channel);
  }

  /**
   * 1 where the pixel is observed and 0 elsewhere, [height, width]; undefined where the channel has no mask.
   */
  get mask(): Float32Array | undefined {
    const a = this.hasLines ? undefined : this.observation?.a;
    const size = pixelCount(this.shape);
    return a && (a.length === size || a.length === this.d) ? a.slice(0, size) : undefined;
  }

  /** The picture as observed, with the clean picture in place of hidden pixels, which are drawn hatched. */
  get seen(): Float32Array | undefined {
    const { x, mask, observation } = this;
    if (!observation || this.hasLines || observation.y.length !== this.d) return x;
    return observation.y.map((v, i) => (mask?.[i % mask.length] === 0 && x ? (x[i] ?? v) : v));
  }

  /** Number of pictures to choose from. */
  get examples(): number {
    return this.own.length || this.pictures.length || (this.posterior?.info.examples ?? 1);
  }

  /** 0 where the picture itself is missing, [height, width]; undefined where it is missing nowhere. */
  get known(): Float32Array | undefined {
    return this.own[this.example]?.known;
  }

  /** Mean and standard deviation over the draws. */
  get moments(): Moments | undefined {
    const { draws, d } = this;
    if (draws && this.#moments.of !== draws) this.#moments = { of: draws, values: moments(draws, d) };
    return draws && this.#moments.values;
  }

  /** Peak signal-to-noise ratio of `values` in dB, where the clean picture is known. */
  psnr(values: Float32Array): number | undefined {
    return this.x && psnr(values, this.x);
  }

  /** Loads the checkpoint at `src` and the file of pictures; a failure is kept in `failure`. */
  async open(src: URL | ArrayBuffer, pictures: URL | undefined, signal: AbortSignal): Promise<void> {
    await this.#guard(async () => {
      const onProgress = (bytes: number, total?: number): void => {
        this.loaded = total ? bytes / total : 0;
        this.#changed();
      };
      const posterior = await load(src, { device: this.options.device, workers: Math.min(WORKERS, navigator.hardwareConcurrency || 1), onProgress, signal });
      const { image, d } = posterior.info;
      if (!image) throw new Error('the signals of this checkpoint are not images; <diffem-posterior> shows images only');
      this.shape = image;
      this.d = d;
      this.hasLines = hasLines(posterior.info.channel);
      if (pictures) this.pictures = await readPictures(pictures, image, signal);
      this.posterior = posterior;
    });
  }

  /** Takes what the reader has brought in place of the pictures of the page, or goes back to these where it is nothing. */
  async bring(own: readonly Own[]): Promise<void> {
    this.own = own;
    this.#brought += 1;
    await this.choose(0);
  }

  /** A picture of the reader's own with an observation of it: pixels that are missing are not observed. */
  async observed(x: Float32Array, known: Float32Array | undefined): Promise<Own> {
    if (!this.posterior) throw new Error('no checkpoint is loaded');
    const { k } = this.posterior.info;
    if (!known || this.hasLines || k === 0) return { x, ...(await this.posterior.observe(x, { seed: this.seed })) };
    const a = Float32Array.from({ length: k }, (_, i) => known[i % known.length] ?? 1);
    return { x, known, ...(await this.posterior.observe(x, { seed: this.seed, a })) };
  }

  /** Says that something failed; the figure goes on with what it has. */
  fail(error: unknown): void {
    this.failure = messageOf(error);
    this.#changed();
  }

  /** Chooses example `i`, as corrupted by the channel of the run; the measured lines stay the same. */
  async choose(i: number): Promise<void> {
    this.example = Math.max(0, Math.min(this.examples - 1, Math.floor(i)));
    await this.#guard(async () => {
      const lines = this.hasLines ? this.observation?.a : undefined;
      const { x, y, a } = await this.#picture();
      this.x = x;
      if (x) this.range = widest(this.range, rangeOf(x));
      await this.#measureAll(y);
      if (x && lines) await this.#corrupt({ a: lines });
      else this.#observe(a ? { y, a } : { y });
    });
  }

  /** Names the picture. */
  get #label(): string {
    return this.own.length ? `own ${this.#brought} ${this.example}` : `${this.example}`;
  }

  /** The chosen picture with an observation of it. */
  async #picture(): Promise<Example> {
    const { posterior, example } = this;
    const own = this.own[example];
    this.#name = this.#label;
    if (own) return own;
    const x = this.pictures[example];
    if (x) this.#name = `${this.#label} ${NOISE}`;
    if (!posterior || (!x && !posterior.info.examples)) throw new Error('this checkpoint carries no example; export it with `--examples`');
    return x ? { x, ...(await posterior.observe(x, { seed: NOISE })) } : posterior.example(example);
  }

  /** Keeps the magnitudes of all frequencies of the picture, or of those in `y` where it is unknown. */
  async #measureAll(y: Float32Array): Promise<void> {
    if (!this.hasLines || !this.posterior) return;
    const a = new Float32Array(this.posterior.info.k).fill(1);
    const all = this.x ? (await this.posterior.observe(this.x, { seed: NOISE, a })).y : y;
    this.spectrum = logMagnitudes(all, this.shape);
  }

  /** The mask of lines that the channel draws from `seed`. */
  async randomLines(seed: number): Promise<Float32Array | undefined> {
    return this.posterior && this.x && (await this.posterior.observe(this.x, { seed })).a;
  }

  /** Corrupts the picture anew with a mask [height, width] of pixels or frequencies that the reader has chosen. */
  async hide(mask: Float32Array): Promise<void> {
    const parameters = this.posterior?.info.k ?? mask.length;
    const a = Float32Array.from({ length: parameters }, (_, i) => mask[i % mask.length] ?? 1);
    await this.#corrupt({ a });
  }

  /** Corrupts the picture anew with a random mask that hides a share `rate` of the pixels. */
  async thin(rate: number): Promise<void> {
    await this.#corrupt({ channel: withRate(this.posterior?.info.channel, rate) });
  }

  /** Draws from the posterior of the observation and dispatches "sampled" at the end. */
  async sample(): Promise<void> {
    const { posterior, observation } = this;
    if (!posterior || !observation) return;
    const { signal } = this.stop();
    const { draws, steps, sampler } = this.options;
    const from = performance.now();
    const name = `${this.#name} ${this.seed} ${observation.a?.join() ?? ''}`;
    const kept = this.#kept.find(name);
    if (kept) return this.#finished(kept);
    this.progress = { step: 0, steps: 1, sigma: NaN };
    this.#changed();
    const { workers } = posterior;
    await this.#guard(async () => {
      const result = await posterior.samplePosterior(observation.y, observation.a, {
        draws,
        seed: this.seed,
        signal,
        ...(steps ? { steps } : {}),
        ...(sampler ? { sampler } : {}),
        onStep: ({ step, steps: of, sigma, mean }) => {
          if (signal.aborted) return;
          Object.assign(this, { draws: mean, seconds: undefined });
          this.progress = { step, steps: of, sigma };
          this.#changed();
        },
      });
      if (signal.aborted) return;
      const seconds = (performance.now() - from) / 1000;
      this.#finished(this.#kept.keep(name, { draws: result, seconds, workers }));
    });
    if (signal.aborted) return;
    this.progress = undefined;
    this.#changed();
  }

  #finished({ draws, seconds, workers }: { draws: Float32Array; seconds: number; workers: number }): void {
    Object.assign(this, { draws, seconds, workers, progress: undefined });
    this.#changed();
    this.dispatchEvent(new Event('sampled'));
  }

  /** Stops the current draws and returns the controller for the next ones. */
  stop(): AbortController {
    this.#abort?.abort();
    this.#abort = new AbortController();
    this.progress = undefined;
    return this.#abort;
  }

  close(): void {
    this.stop();
    this.posterior?.close();
    this.posterior = undefined;
  }

  async #corrupt(options: { a?: Float32Array; channel?: unknown }): Promise<void> {
    await this.#guard(async () => {
      if (!this.posterior || !this.x) return;
      const seed = this.hasLines ? NOISE : this.seed;
      this.#name = `${this.#label} ${seed}`;
      const seen = await this.posterior.observe(this.x, { seed, ...options });
      const { known } = this;
      const a = known && seen.a?.map((v, i) => v * (known[i % known.length] ?? 1));
      this.#observe(a ? await this.posterior.observe(this.x, { seed, a }) : seen);
    });
  }

  #observe(observation: Observation): void {
    this.stop();
    this.observation = observation;
    this.zeroFilled = this.hasLines ? inverse(observation.y, this.shape) : undefined;
    this.draws = undefined;
    this.#changed();
  }

  #changed(): void {
    this.dispatchEvent(new Event('change'));
  }

  async #guard(work: () => Promise<void>): Promise<void> {
    try {
      this.failure = '';
      await work();
    } catch (error) {
      if (isAbort(error)) return;
      this.failure = messageOf(error);
      this.#changed();
    }
  }
}

function widest(a: readonly [number, number], b: readonly [number, number]): [number, number] {
  return [Math.min(a[0], b[0]), Math.max(a[1], b[1])];
}
