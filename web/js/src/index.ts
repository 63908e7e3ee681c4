// diffem in the browser: load and sample a trained posterior, or train a model of a curve live from corrupted
// points. A module worker beside this file does all the work.

import { bytesOf } from './bytes.js'
import { Crew, sample } from './crew.js'
import { Scorer } from './scorer.js'
import { Challenger } from './race.js'
import { Remote } from './remote.js'
import type {
  DeviceKind, Example, GaussianRun, LiveConfig, LiveInfo, LiveOptions, LiveProgress, LiveScore, LoadOptions, Observation,
  ObserveOptions, PosteriorInfo, Race, SampleOptions,
} from './types.js'

export { hasAdapter } from './adapter.js'
export type * from './types.js'

/** Opens a worker, loads its module and does `work` with it; closes the worker where one of these fails. */
async function opened<T>(device: 'auto' | DeviceKind, work: (remote: Remote) => Promise<T>, signal?: AbortSignal): Promise<T> {
  const remote = new Remote()
  try {
    const open = remote.call('open', [device], { signal })
    // The module and the files that the work needs download at the same time; the first failure is reported.
    const [, result] = await Promise.all([open, work(remote)])
    return result
  } catch (error) {
    remote.close()
    throw error
  }
}

/**
 * Loads a checkpoint written by `diffem export --web`, from an address or from its bytes.
 *
 * Rejects with the core's message where the file is not a complete checkpoint, and with the signal's reason
 * when aborted.
 */
export function load(
  checkpoint: string | URL | ArrayBuffer | Uint8Array,
  options: LoadOptions = {},
): Promise<Posterior> {
  const { device = 'auto', workers = 1, signal } = options
  const work = async (remote: Remote) => {
    const bytes = await bytesOf(checkpoint, options)
    const copy = workers > 1 ? bytes.slice() : undefined
    const info = await remote.call<PosteriorInfo>('load', [bytes], { transfer: [bytes.buffer], signal })
    return new Posterior(remote, info, new Crew(remote, info.device === 'cpu' ? copy : undefined, workers))
  }
  return opened(device, work, signal)
}

/** A trained posterior, created by {@link load}. */
export class Posterior {
  readonly info: PosteriorInfo
  readonly #remote: Remote
  readonly #crew: Crew

  /** @internal */
  constructor(remote: Remote, info: PosteriorInfo, crew: Crew) {
    this.info = info
    this.#remote = remote
    this.#crew = crew
    remote.onDevice = (device) => (info.device = device)
  }

  /** Number of workers that share the draws of the next call. */
  get workers(): number {
    return this.#crew.size
  }

  /** Example `i` of the checkpoint; rejects where it carries no such example. */
  example(i: number): Promise<Example> {
    return this.#remote.call('example', [i])
  }

  /** Corrupts the signal `x` [d] by the channel of the run, or by the one in `options`. */
  observe(x: Float32Array, options: ObserveOptions = {}): Promise<Observation> {
    const { seed, a, channel } = options
    return this.#remote.call('observe', [x, a, JSON.stringify({ seed, channel })])
  }

  /** Posterior draws of x given y [m] and a [k], [draws * d]: for a seed, those of `diffem sample`. */
  samplePosterior(y: Float32Array, a: Float32Array | undefined, options: SampleOptions = {}): Promise<Float32Array> {
    return this.#crew.sample(y, a, options)
  }

  /** Ends the workers and rejects their unanswered calls. */
  close(): void {
    this.#crew.close()
  }
}

/** Trains a model of a curve from corrupted points, lap by lap; created by {@link LiveTraining.create}. */
export class LiveTraining {
  readonly info: LiveInfo
  #remote: Remote
  #challenger: Challenger | undefined
  #race: Race | undefined
  #last: LiveProgress | undefined
  readonly #scorer: Scorer

  /** @internal */
  constructor(remote: Remote, info: LiveInfo, scorer: Scorer, challenger?: Challenger) {
    this.info = info
    this.#remote = remote
    this.#scorer = scorer
    this.#challenger = challenger
  }

  /**
   * Draws signals and observations from `seed`. Training begins with the first {@link step}.
   *
   * Rejects where a setting is outside its range, naming the setting.
   */
  static create(config: LiveConfig, seed: number, options: LiveOptions = {}): Promise<LiveTraining> {
    const { device = 'auto', software = false, signal } = options
    const run = [JSON.stringify(config), seed]
    const begin = (remote: Remote) => remote.call<LiveInfo>('liveTraining', run, { signal })
    const scorer = new Scorer(() => opened('cpu', async (other) => other.call('liveScorer', run).then(() => other)))
    const work = async (remote: Remote) => {
      const info = await begin(remote)
      const start = () => opened('webgpu', async (other) => begin(other).then(() => other))
      // Outside of pages adapters are left alone: those of Deno can end the program.
      const races = device === 'auto' && 'document' in globalThis
      return new LiveTraining(remote, info, scorer, races ? new Challenger(start, software) : undefined)
    }
    return opened(device === 'webgpu' ? 'webgpu' : 'cpu', work, signal)
  }

  /** Whether WebGPU is being tried beside the CPU. */
  get racing(): boolean {
    return this.#challenger?.open ?? false
  }

  /** Result of the race between the CPU and WebGPU, where there was one and once it is known. */
  get race(): Race | undefined {
    return this.#race ?? this.#challenger?.result
  }

  /** Does one unit of work; the worker answers other messages between units. */
  async step(): Promise<LiveProgress> {
    const challenger = this.#challenger
    const faster = challenger?.take(this.#last)
    if (faster) this.#hand(faster)
    if (!this.#challenger) return this.#remote.call('liveTrainingStep', [])
    challenger?.follow()
    const from = performance.now()
    const progress = await this.#remote.call<LiveProgress>('liveTrainingStep', [])
    challenger?.note(progress, (performance.now() - from) / 1000)
    this.#last = progress
    return progress
  }

  /** Goes on with the worker of WebGPU, which has done the same work. */
  #hand(faster: Remote): void {
    this.#race = this.#challenger?.result
    this.#challenger = undefined
    this.#remote.close()
    this.#remote = faster
    this.info.device = 'webgpu'
  }

  /**
   * Works to the end of the current lap and scores it; where all laps are over, there is no score. Rejects with the signal's
   * reason when aborted between two units.
   */
  async lap(
    options: { signal?: AbortSignal; onProgress?: (p: LiveProgress) => void } = {},
  ): Promise<LiveProgress & Partial<LiveScore>> {
    for (;;) {
      options.signal?.throwIfAborted()
      const progress = await this.step()
      options.onProgress?.(progress)
      if (progress.phase === 'done') return progress
      if (progress.phase === 'e-step' && progress.fraction === 1) return { ...progress, ...(await this.score()) }
    }
  }

  /** Reconstructions after the last finished lap, or of the start, [n * d]. */
  cloud(): Promise<Float32Array> {
    return this.#remote.call('liveTrainingCloud', [])
  }

  /**
   * Scores `cloud` [n * d], by default the reconstructions after the last finished lap. A worker of its own does it, so that units
   * of work asked for meanwhile do not wait.
   */
  async score(cloud?: Float32Array): Promise<LiveScore> {
    return this.#scorer.score(cloud ?? (await this.cloud()))
  }

  /** Clean points that training never sees, [k * d]. */
  truth(): Promise<Float32Array> {
    return this.#remote.call('liveTrainingTruth', [])
  }

  /** The observations: y [n * m], and the rows of every operator, a [n * m * d]. */
  observations(): Promise<{ y: Float32Array; a: Float32Array }> {
    return this.#remote.call('liveTrainingObservations', [])
  }

  /** Posterior draws of observation `i` under the current network, [draws * d]. */
  posterior(i: number, options: SampleOptions = {}): Promise<Float32Array> {
    return sample(this.#remote, 'liveTrainingSample', [i], options)
  }

  /** Ends the workers and rejects their unanswered calls. */
  close(): void {
    this.#challenger?.leave()
    this.#scorer.close()
    this.#remote.close()
  }
}

let shared: Promise<Remote> | undefined

/**
 * Closed-form EM for a scalar Gaussian: x ~ N(0, truth), y = x + N(0, noise), initial prior N(0, start),
 * where all three parameters are variances.
 */
export async function gaussianRun(o: { truth: number; noise: number; start: number; laps: number }): Promise<GaussianRun> {
  shared ??= opened('cpu', async (remote) => remote)
  shared.catch(() => (shared = undefined))
  return (await shared).call('gaussianRun', [o.truth, o.noise, o.start, o.laps])
}
