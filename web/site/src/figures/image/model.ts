// State of <diffem-posterior>: a loaded checkpoint, one picture, one observation of it, and posterior draws.
import { type Observation, Posterior, type SamplerKind, load } from 'diffem';
import { isAbort, messageOf } from '../../lib/async';
import { hasRate, withRate } from './channel';
import { type Shape, pixelCount, rangeOf } from './pixels';

export interface ModelOptions {
  draws: number;
  steps: number | undefined;
  sampler: SamplerKind | undefined;
  device: 'auto' | 'cpu' | 'webgpu';
}

export class PosteriorModel extends EventTarget {
  posterior: Posterior | undefined;
  shape: Shape = { channels: 1, height: 1, width: 1 };
  d = 1;
  example = 0;
  x: Float32Array | undefined;
  observation: Observation | undefined;
  /** Finished draws, or the posterior means of unfinished ones, [draws, d]. */
  draws: Float32Array | undefined;
  progress: { step: number; steps: number; sigma: number } | undefined;
  loaded = 0;
  failure = '';
  /** Time that the finished draws took, in seconds. */
  seconds: number | undefined;
  seed = 0;
  range: readonly [number, number] = [-2, 2];
  #abort: AbortController | undefined;

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
    const a = this.observation?.a;
    const size = pixelCount(this.shape);
    return a && (a.length === size || a.length === this.d) ? a.slice(0, size) : undefined;
  }

  /** The picture as observed, with the clean picture in place of hidden pixels, which are drawn hatched. */
  get seen(): Float32Array | undefined {
    const { x, mask, observation } = this;
    if (!observation || observation.y.length !== this.d) return x;
    return observation.y.map((v, i) => (mask?.[i % mask.length] === 0 && x ? (x[i] ?? v) : v));
  }

  /** Loads the checkpoint at `src`; a failure is kept in `failure`. */
  async open(src: string | URL, signal: AbortSignal): Promise<void> {
    await this.#guard(async () => {
      const onProgress = (bytes: number, total?: number): void => {
        this.loaded = total ? bytes / total : 0;
        this.#changed();
      };
      const posterior = await load(src, { device: this.options.device, onProgress, signal });
      const { image, d } = posterior.info;
      if (!image) throw new Error('the signals of this checkpoint are not images; <diffem-posterior> shows images only');
      this.posterior = posterior;
      this.shape = image;
      this.d = d;
    });
  }

  /** Chooses example `i`, as corrupted by the channel of the run. */
  async choose(i: number): Promise<void> {
    const last = (this.posterior?.info.examples ?? 1) - 1;
    this.example = Math.max(0, Math.min(last, Math.floor(i)));
    await this.#guard(async () => {
      const { x, y, a } = (await this.posterior?.example(this.example)) ?? {};
      if (!y) throw new Error('this checkpoint carries no example; export it with `--examples`');
      this.x = x;
      if (x) this.range = widest(this.range, rangeOf(x));
      this.#observe(a ? { y, a } : { y });
    });
  }

  /** Corrupts the picture anew with a mask [height, width] that the reader has painted. */
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
    this.progress = { step: 0, steps: 1, sigma: NaN };
    this.#changed();
    const { draws, steps, sampler } = this.options;
    const from = performance.now();
    await this.#guard(async () => {
      const result = await posterior.samplePosterior(observation.y, observation.a, {
        draws,
        seed: this.seed,
        signal,
        ...(steps ? { steps } : {}),
        ...(sampler ? { sampler } : {}),
        onStep: ({ step, steps: of, sigma, mean }) => {
          if (signal.aborted) return;
          this.draws = mean;
          this.progress = { step, steps: of, sigma };
          this.#changed();
        },
      });
      if (signal.aborted) return;
      this.draws = result;
      this.seconds = (performance.now() - from) / 1000;
    });
    if (!signal.aborted) this.progress = undefined;
    this.#changed();
    if (!signal.aborted && !this.failure) this.dispatchEvent(new Event('sampled'));
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
      if (this.posterior && this.x) this.#observe(await this.posterior.observe(this.x, { seed: this.seed, ...options }));
    });
  }

  #observe(observation: Observation): void {
    this.stop();
    this.observation = observation;
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
