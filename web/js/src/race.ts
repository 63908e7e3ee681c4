// A race between the CPU and WebGPU. Both train the same run from its start; the CPU's results are used until WebGPU, where it is
// faster, has caught up. So nobody waits for the race, and a slow or a software adapter costs nothing but its own work.

import { adapter } from './adapter.js'
import type { Remote } from './remote.js'
import type { LiveProgress, Race } from './types.js'

/** Pieces of the M-step that are not counted, because shaders are compiled in them. */
const WARM = 1
/** Pieces of the M-step that are counted. */
const MEASURED = 3
/** Longest time of one piece on WebGPU, in ms. */
const PATIENCE = 20_000

const mean = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length

/** Rejects where `work` takes longer than PATIENCE. */
async function soon<T>(work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('too slow')), PATIENCE)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

let known: ReturnType<typeof adapter> | undefined

/** The adapter, asked for once, because browsers without one say so in their console every time. */
function entrant(): ReturnType<typeof adapter> {
  known ??= adapter()
  return known
}

/** The run on WebGPU. */
export class Challenger {
  readonly #software: boolean
  #remote: Remote | undefined
  /** Pieces of work that are done, and that the CPU is asked for. */
  #done = 0
  #asked = 0
  #last: LiveProgress | undefined
  #wake: () => void = () => {}
  #pieces = 0
  readonly #times: number[] = []
  readonly #cpuTimes: number[] = []
  #out = false
  #since = 0
  /** Result of the race, once it is known. */
  result: Race | undefined

  /** `start` opens the run on WebGPU; a software adapter takes part where `software` is set. */
  constructor(start: () => Promise<Remote>, software: boolean) {
    this.#software = software
    void this.#run(start).catch(() => this.leave())
  }

  /** Whether the race is still open. */
  get open(): boolean {
    return !this.#out && !this.result
  }

  async #run(start: () => Promise<Remote>): Promise<void> {
    const found = await entrant()
    if (this.#out || !found || (found === 'software' && !this.#software)) return this.leave()
    this.#remote = await start()
    if (this.#out) return this.#remote.end()
    while (!this.#out) {
      if (this.#done < this.#asked) await this.#piece(this.#remote)
      else await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }

  async #piece(remote: Remote): Promise<void> {
    this.#since = performance.now()
    const call = remote.call<LiveProgress>('liveTrainingStep', [])
    try {
      this.#last = await soon(call)
    } catch (error) {
      call.catch(() => {})
      this.#judge(this.#seconds(), false)
      throw error
    }
    this.#done++
    if (this.#last.phase !== 'm-step' || this.result || this.#pieces++ < WARM) return
    this.#times.push(this.#seconds())
    if (this.#times.length >= MEASURED) this.#judge(mean(this.#times), true)
  }

  #seconds(): number {
    return (performance.now() - this.#since) / 1000
  }

  /** Ends the race with the mean time of a piece on WebGPU, or with the time after which one was not complete. */
  #judge(webgpu: number, complete: boolean): void {
    if (!this.#cpuTimes.length) return
    const cpu = mean(this.#cpuTimes)
    const winner = complete && webgpu < cpu ? 'webgpu' : 'cpu'
    this.result = { cpu, webgpu, complete, winner }
    if (winner === 'cpu') this.leave()
  }

  /** The CPU is asked for one more piece. */
  follow(): void {
    this.#asked++
    this.#wake()
  }

  /** The CPU has done a piece in `seconds`. */
  note(progress: LiveProgress, seconds: number): void {
    if (progress.phase === 'm-step' && !this.result) this.#cpuTimes.push(seconds)
  }

  /** Gives its worker away where it has won and stands exactly where the CPU stands, after a piece that ended with `last`. */
  take(last: LiveProgress | undefined): Remote | undefined {
    const level = this.result?.winner === 'webgpu' && this.#done === this.#asked
    const same = last && this.#last?.phase === last.phase && this.#last.lap === last.lap && this.#last.fraction === last.fraction
    if (this.#out || !level || !same) return undefined
    const remote = this.#remote
    this.#remote = undefined
    this.leave()
    return remote
  }

  /** Leaves the race; the worker ends, because it may be in the middle of a long piece. */
  leave(): void {
    this.#out = true
    this.#remote?.end()
    this.#remote = undefined
    this.#wake()
  }
}
