// diffem in the browser: load a trained posterior and sample it, or learn a curve from corrupted points live. All work is
// done in a module worker beside this file.

import { bytesOf } from './bytes.js'
import { Remote } from './remote.js'
import type {
  DeviceKind, Example, GaussianRun, LabConfig, LabInfo, LabProgress, LoadOptions, Observation, ObserveOptions,
  PosteriorInfo, SampleOptions, SampleStep,
} from './types.js'

export { hasAdapter } from './adapter.js'
export type * from './types.js'

/** The options that the core reads, as JSON. */
function plain({ draws, steps, sampler, seed, index }: SampleOptions): string {
  return JSON.stringify({ draws, steps, sampler, seed, index })
}

function sample(remote: Remote, method: string, args: unknown[], options: SampleOptions): Promise<Float32Array> {
  const { signal, onStep } = options
  return remote.call<Float32Array, SampleStep>(method, [...args, plain(options), onStep !== undefined], {
    signal,
    onProgress: onStep,
  })
}

/** Opens a worker with a module loaded; the worker is closed when that fails. */
async function opened<T>(device: 'auto' | DeviceKind, work: (remote: Remote) => Promise<T>, signal?: AbortSignal): Promise<T> {
  const remote = new Remote()
  try {
    const open = remote.call('open', [device], { signal })
    // The module and whatever the work fetches travel at the same time; the first failure is the one that is told.
    const [, result] = await Promise.all([open, work(remote)])
    return result
  } catch (error) {
    remote.close()
    throw error
  }
}

/**
 * Loads a checkpoint that `diffem export --web` wrote, from an address or from its bytes.
 *
 * Rejects with the core's message for a file that is no whole checkpoint, and with the signal's reason when aborted.
 */
export function load(
  checkpoint: string | URL | ArrayBuffer | Uint8Array,
  options: LoadOptions = {},
): Promise<Posterior> {
  const { device = 'auto', signal } = options
  const work = async (remote: Remote) => {
    const bytes = await bytesOf(checkpoint, options)
    const info = await remote.call<PosteriorInfo>('load', [bytes], { transfer: [bytes.buffer], signal })
    return new Posterior(remote, info)
  }
  return opened(device, work, signal)
}

/** A trained posterior; made by {@link load}. */
export class Posterior {
  readonly info: PosteriorInfo
  readonly #remote: Remote

  /** @internal */
  constructor(remote: Remote, info: PosteriorInfo) {
    this.info = info
    this.#remote = remote
    remote.onDevice = (device) => (info.device = device)
  }

  /** Observation `i` of those that travel in the checkpoint. */
  example(i: number): Promise<Example> {
    return this.#remote.call('example', [i])
  }

  /** Corrupts `x` [d] by the run's channel. */
  observe(x: Float32Array, options: ObserveOptions = {}): Promise<Observation> {
    const { seed, a, channel } = options
    return this.#remote.call('observe', [x, a, JSON.stringify({ seed, channel })])
  }

  /** Draws of x given y and a, [draws * d]; the same numbers as `diffem sample` for a seed. */
  samplePosterior(y: Float32Array, a: Float32Array | undefined, options: SampleOptions = {}): Promise<Float32Array> {
    return sample(this.#remote, 'sample', [y, a], options)
  }

  /** Ends the worker; what is under way is rejected. */
  close(): void {
    this.#remote.close()
  }
}

/** Learns a curve from corrupted points, lap after lap; made by {@link ManifoldLab.create}. */
export class ManifoldLab {
  readonly info: LabInfo
  readonly #remote: Remote

  /** @internal */
  constructor(remote: Remote, info: LabInfo) {
    this.info = info
    this.#remote = remote
  }

  /** Draws signals and observations; nothing is learned before the first {@link step}. Training runs on the CPU. */
  static create(
    config: LabConfig,
    seed: number,
    options: { device?: 'auto' | DeviceKind; signal?: AbortSignal } = {},
  ): Promise<ManifoldLab> {
    if (options.device === 'webgpu') {
      return Promise.reject(new Error('device: live training runs on the CPU; leave it out, or pass "auto" or "cpu"'))
    }
    const { signal } = options
    const work = async (remote: Remote) => {
      const info = await remote.call<LabInfo>('lab', [JSON.stringify(config), seed], { signal })
      return new ManifoldLab(remote, info)
    }
    return opened('cpu', work, signal)
  }

  /** Does one unit of work; the worker answers other messages between units. */
  step(): Promise<LabProgress> {
    return this.#remote.call('labStep', [])
  }

  /** Works to the end of the lap under way. */
  async lap(
    options: { signal?: AbortSignal; onProgress?: (p: LabProgress) => void } = {},
  ): Promise<LabProgress> {
    for (;;) {
      options.signal?.throwIfAborted()
      const progress = await this.step()
      options.onProgress?.(progress)
      if (progress.phase === 'done' || (progress.phase === 'e-step' && progress.fraction === 1)) return progress
    }
  }

  /** Reconstructions after the last finished lap (or of the start), [n * d]. */
  cloud(): Promise<Float32Array> {
    return this.#remote.call('labCloud', [])
  }

  /** Clean points nobody trained on, [k * d]. */
  truth(): Promise<Float32Array> {
    return this.#remote.call('labTruth', [])
  }

  /** What is seen: y [n * m], and the rows of every operator a [n * m * d]. */
  observations(): Promise<{ y: Float32Array; a: Float32Array }> {
    return this.#remote.call('labObservations', [])
  }

  /** Draws of the posterior of observation `i` under the network as it is now, [draws * d]. */
  posterior(i: number, options: SampleOptions = {}): Promise<Float32Array> {
    return sample(this.#remote, 'labSample', [i], options)
  }

  /** Ends the worker; what is under way is rejected. */
  close(): void {
    this.#remote.close()
  }
}

let shared: Promise<Remote> | undefined

/**
 * Closed-form EM on a scalar Gaussian: x ~ N(0, truth), y = x + N(0, noise), first prior N(0, start); all three are variances.
 */
export async function gaussianRun(o: { truth: number; noise: number; start: number; laps: number }): Promise<GaussianRun> {
  shared ??= opened('cpu', async (remote) => remote)
  shared.catch(() => (shared = undefined))
  return (await shared).call('gaussianRun', [o.truth, o.noise, o.start, o.laps])
}
