// A worker as an object with promises.

import type { Reply, Request } from './protocol.js'

interface Pending {
  resolve: (value: never) => void
  reject: (reason: unknown) => void
  onProgress?: (value: never) => void
}

export interface CallOptions<P> {
  transfer?: Transferable[]
  signal?: AbortSignal
  onProgress?: (value: P) => void
}

/** Starts the worker beside this file, from another origin through a module that imports it. */
function start(): Worker {
  try {
    return new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })
  } catch {
    const source = `import ${JSON.stringify(new URL('./worker.js', import.meta.url).href)}`
    const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }))
    return new Worker(url, { type: 'module' })
  }
}

/** A worker and the calls that it has not answered yet. */
export class Remote {
  readonly #worker = start()
  readonly #pending = new Map<number, Pending>()
  #next = 0
  #ended: Error | undefined
  /** Called when the worker goes on with another device. */
  onDevice: (device: 'cpu' | 'webgpu') => void = () => {}

  constructor() {
    this.#worker.onmessage = (event: MessageEvent<Reply>) => this.#receive(event.data)
    this.#worker.onerror = (event) =>
      this.#end(new Error(`the worker cannot run: ${event.message || 'worker.js or a file it needs was not found'}`))
    this.#worker.onmessageerror = () => this.#end(new Error('the worker sent a message that cannot be read'))
  }

  /** Calls a method of the worker; an abort rejects at once and stops the work at its next step. */
  call<T, P = never>(method: string, args: unknown[], options: CallOptions<P> = {}): Promise<T> {
    const { transfer = [], signal, onProgress } = options
    if (this.#ended) return Promise.reject(this.#ended)
    if (signal?.aborted) return Promise.reject(signal.reason)
    const id = this.#next++
    return new Promise<T>((resolve, reject) => {
      const abort = () => {
        this.#pending.delete(id)
        this.#send({ cancel: id })
        reject(signal?.reason)
      }
      const settled = () => signal?.removeEventListener('abort', abort)
      signal?.addEventListener('abort', abort, { once: true })
      this.#pending.set(id, {
        resolve: (value) => (settled(), resolve(value)),
        reject: (reason) => (settled(), reject(reason)),
        onProgress: onProgress as Pending['onProgress'],
      })
      this.#send({ id, method, args }, transfer)
    })
  }

  /** Ends the worker; calls without an answer are rejected. */
  close(): void {
    this.#end(new Error('closed'))
  }

  #send(request: Request, transfer: Transferable[] = []): void {
    this.#worker.postMessage(request, transfer)
  }

  #receive(reply: Reply): void {
    if ('device' in reply) return this.onDevice(reply.device)
    const pending = this.#pending.get(reply.id)
    if (!pending) return
    if ('progress' in reply) return pending.onProgress?.(reply.progress as never)
    this.#pending.delete(reply.id)
    if ('value' in reply) return pending.resolve(reply.value as never)
    const error = new Error(reply.error.message)
    error.name = reply.error.name
    pending.reject(error)
  }

  #end(reason: Error): void {
    this.#ended ??= reason
    this.#worker.terminate()
    for (const { reject } of this.#pending.values()) reject(this.#ended)
    this.#pending.clear()
  }
}
