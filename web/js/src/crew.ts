// A checkpoint in several workers, which share the draws of a call. A draw depends on its own number only, so that the draws are the
// same however they are shared.

import { Remote } from './remote.js'
import type { SampleOptions, SampleStep } from './types.js'

/** Some consecutive draws of a call. */
interface Part {
  first: number
  draws: number
}

/** The options that the core reads, as JSON. */
function plain({ draws, steps, sampler, seed, index }: SampleOptions, first?: number): string {
  return JSON.stringify({ draws, steps, sampler, seed, index, first })
}

/** Draws by one worker. */
export function sample(remote: Remote, method: string, args: unknown[], options: SampleOptions, first?: number): Promise<Float32Array> {
  const { signal, onStep } = options
  return remote.call<Float32Array, SampleStep>(method, [...args, plain(options, first), onStep !== undefined], {
    signal,
    onProgress: onStep,
  })
}

/** Most draws of a call; the core says so where there are more. */
const MAX_DRAWS = 1 << 16

/** Divides `draws` into at most `most` parts, whose sizes differ by at most one. */
function divide(draws: number, most: number): Part[] {
  const count = Math.max(1, Math.min(most, draws))
  const from = (i: number) => Math.floor((i * draws) / count)
  return Array.from({ length: count }, (_, i) => ({ first: from(i), draws: from(i + 1) - from(i) }))
}

function joined(arrays: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(arrays.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const array of arrays) {
    all.set(array, at)
    at += array.length
  }
  return all
}

/** Reports a step once all `count` parts have taken it. */
function together(count: number, onStep: (step: SampleStep) => void): (part: number, step: SampleStep) => void {
  const open = new Map<number, SampleStep[]>()
  return (part, step) => {
    const taken = open.get(step.step) ?? []
    open.set(step.step, taken)
    taken[part] = step
    if (taken.filter(Boolean).length < count) return
    open.delete(step.step)
    onStep({ ...step, state: joined(taken.map((t) => t.state)), mean: joined(taken.map((t) => t.mean)) })
  }
}

export class Crew {
  readonly #main: Remote
  readonly #most: number
  #bytes: Uint8Array<ArrayBuffer> | undefined
  #helpers: Remote[] = []
  #closed = false

  /** `bytes` is a copy of the checkpoint that `main` has loaded, for up to `most - 1` helpers. */
  constructor(main: Remote, bytes: Uint8Array<ArrayBuffer> | undefined, most: number) {
    this.#main = main
    this.#bytes = bytes
    this.#most = most
  }

  /** Number of workers that share the draws of the next call. */
  get size(): number {
    return 1 + this.#helpers.length
  }

  /** Posterior draws, [draws * d]; the first call of several draws starts the helpers, which share the next ones. */
  async sample(y: Float32Array, a: Float32Array | undefined, options: SampleOptions): Promise<Float32Array> {
    const { draws = 1 } = options
    this.#helpers = this.#helpers.filter((helper) => helper.alive)
    const parts = Number.isInteger(draws) && draws <= MAX_DRAWS ? divide(draws, this.size) : []
    if (draws > 1) this.#hire()
    if (parts.length < 2) return sample(this.#main, 'sample', [y, a], options)
    return this.#shared(y, a, options, parts)
  }

  async #shared(y: Float32Array, a: Float32Array | undefined, options: SampleOptions, parts: Part[]): Promise<Float32Array> {
    const { signal, onStep } = options
    const stop = new AbortController()
    const abort = () => stop.abort(signal?.reason)
    if (signal?.aborted) abort()
    signal?.addEventListener('abort', abort, { once: true })
    const report = onStep && together(parts.length, onStep)
    const work = async ({ first, draws }: Part, i: number): Promise<Float32Array> => {
      const own = { ...options, draws, signal: stop.signal, onStep: report && ((step: SampleStep) => report(i, step)) }
      const remote = i === 0 ? this.#main : (this.#helpers[i - 1] ?? this.#main)
      try {
        return await sample(remote, 'sample', [y, a], own, first)
      } catch (error) {
        // A browser may end a helper to save memory; the draws do not need it.
        if (remote === this.#main || remote.alive || stop.signal.aborted) throw error
        return sample(this.#main, 'sample', [y, a], own, first)
      }
    }
    try {
      return joined(await Promise.all(parts.map(work)))
    } catch (error) {
      // The other parts are of no use any more.
      stop.abort(error)
      throw error
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  /** Starts the helpers, once. Where one cannot start, there are fewer. */
  #hire(): void {
    const bytes = this.#bytes
    this.#bytes = undefined
    for (let i = 1; bytes && i < this.#most; i++) void this.#start(bytes.slice())
  }

  async #start(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const helper = new Remote()
    try {
      await Promise.all([helper.call('open', ['cpu']), helper.call('load', [bytes], { transfer: [bytes.buffer] })])
    } catch {
      return helper.close()
    }
    if (this.#closed) helper.close()
    else this.#helpers.push(helper)
  }

  close(): void {
    this.#closed = true
    this.#bytes = undefined
    for (const remote of [this.#main, ...this.#helpers]) remote.close()
  }
}
