// Scores the laps of a live run in a worker of its own, which is started for the first of them.

import type { Remote } from './remote.js'
import type { LiveScore } from './types.js'

export class Scorer {
  readonly #start: () => Promise<Remote>
  #remote: Promise<Remote> | undefined
  #closed = false

  /** `start` opens a worker that knows the truth of the run. */
  constructor(start: () => Promise<Remote>) {
    this.#start = start
  }

  /** The score of reconstructions [n * d]. After a failure the next call starts another worker. */
  async score(cloud: Float32Array): Promise<LiveScore> {
    if (this.#closed) throw new Error('this live training has been closed')
    const opening = (this.#remote ??= this.#start())
    let remote: Remote | undefined
    try {
      remote = await opening
      return await remote.call<LiveScore>('liveScore', [cloud])
    } finally {
      if (!remote?.alive && this.#remote === opening) this.#remote = undefined
    }
  }

  close(): void {
    this.#closed = true
    this.#remote?.then((remote) => remote.close()).catch(() => {})
    this.#remote = undefined
  }
}
