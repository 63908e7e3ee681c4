// The package in Node and Deno: worker threads in place of the browser's workers, and files beside addresses.

import { readFile } from 'node:fs/promises'
import { Worker as Thread } from 'node:worker_threads'
import { type WorkerLike, platform } from './platform.js'
import type { Reply, Request } from './protocol.js'

/** A thread with the face of a browser's worker. It keeps the process alive only while a call is unanswered. */
class NodeWorker implements WorkerLike {
  onmessage: Worker['onmessage'] = null
  onerror: WorkerLike['onerror'] = null
  onmessageerror: Worker['onmessageerror'] = null
  readonly #thread = new Thread(new URL('./worker-node.js', import.meta.url))
  readonly #calls = new Set<number>()
  #ending = false

  constructor() {
    this.#thread.on('message', (data: Reply) => this.#receive(data))
    this.#thread.on('error', (error: Error) => this.#fail(error.message))
    this.#thread.on('exit', () => this.#fail('it has ended'))
    this.#thread.unref()
  }

  postMessage(request: Request, transfer: Transferable[] | StructuredSerializeOptions = []): void {
    if ('id' in request) this.#calls.add(request.id)
    this.#thread.ref()
    this.#thread.postMessage(request, Array.isArray(transfer) ? transfer : [])
  }

  /** Only the browser's watch of workers listens to events. */
  addEventListener(): void {}

  terminate(): void {
    this.#ending = true
    void this.#thread.terminate()
  }

  #receive(data: Reply): void {
    if ('value' in data || 'error' in data) this.#calls.delete(data.id)
    if (!this.#calls.size) this.#thread.unref()
    this.onmessage?.call(this as never, { data } as MessageEvent)
  }

  #fail(message: string): void {
    if (!this.#ending) this.onerror?.call(this as never, { message } as ErrorEvent)
    this.#ending = true
  }
}

platform.spawn = () => new NodeWorker()

platform.read = (source) => {
  const name = String(source)
  if (/^(https?|blob|data):/.test(name)) return undefined
  const bytes = name.startsWith('file:') ? readFile(new URL(name)) : readFile(name)
  return bytes.then(
    // A copy, because small files share the buffer that they are read into, which cannot be given to a thread.
    (found) => new Uint8Array(found),
    (error: Error) => {
      throw new Error(`${name}: the file cannot be read: ${error.message}`)
    },
  )
}

export * from './index.js'
