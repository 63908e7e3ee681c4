// A worker as an object whose calls return promises.

import { type WorkerLike, platform } from './platform.js'
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

/** Replaces `Worker` in the expression that bundlers look for, and keeps the address that they put there. */
class Address {
  readonly href: string

  constructor(url: URL | string, _: WorkerOptions) {
    this.href = new URL(url, import.meta.url).href
  }
}

const { href } = ((Worker: typeof Address) => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }))(Address)

/**
 * Starts the worker beside this file. Browsers refuse workers of another origin, so a worker of this origin
 * imports such a file.
 */
function spawn(): WorkerLike {
  if (platform.spawn) return platform.spawn()
  if (new URL(href).origin === location.origin) return new Worker(href, { type: 'module' })
  const source = `import ${JSON.stringify(href)}`
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }))
  return new Worker(url, { type: 'module' })
}

/** A worker, and what is called when the browser ends it without being asked to. */
interface Running {
  worker: WorkerLike
  onEnd: () => void
}

/**
 * Starts a worker that is watched. No event tells that a browser has ended a worker, and its calls would wait for ever;
 * but a lock that it holds for life is then free. Where there are no locks, such as on pages without https, nothing is
 * watched, nor before the worker holds its lock: until then it may as well be slow to load.
 */
function start(): Running {
  const running: Running = { worker: spawn(), onEnd: () => {} }
  if (platform.spawn || !navigator.locks) return running
  const life = crypto.randomUUID()
  running.worker.addEventListener('message', (event) => {
    const { data } = event as MessageEvent<Reply>
    if ('life' in data) void navigator.locks.request(life, () => running.onEnd())
  })
  running.worker.postMessage({ life } satisfies Request)
  return running
}

/**
 * Workers without an owner. They keep their compiled module, so that the next posterior or live training
 * starts at once and needs no network.
 */
const idle: Running[] = []
const MAX_IDLE = 2

function rest(running: Running): void {
  const leave = () => {
    const at = idle.indexOf(running)
    if (at >= 0) idle.splice(at, 1)
    running.worker.terminate()
  }
  running.worker.onmessage = running.worker.onmessageerror = null
  running.worker.onerror = running.onEnd = leave
  idle.push(running)
}

/** Numbers calls across all owners of a worker, so that a late answer to a former owner is ignored. */
let calls = 0

/** A worker and its unanswered calls. */
export class Remote {
  readonly #running = idle.pop() ?? start()
  readonly #worker = this.#running.worker
  readonly #pending = new Map<number, Pending>()
  #ended: Error | undefined
  /** The module has failed, so this worker cannot be used again. */
  #broken = false
  /** Called when the worker changes to another device. */
  onDevice: (device: 'cpu' | 'webgpu') => void = () => {}

  constructor() {
    this.#worker.onmessage = (event: MessageEvent<Reply>) => this.#receive(event.data)
    this.#worker.onerror = (event) =>
      this.#fail(new Error(`the worker cannot run: ${event.message || 'worker.js or a file that it needs was not found'}`))
    this.#worker.onmessageerror = () => this.#fail(new Error('the worker sent a message that cannot be read'))
    this.#running.onEnd = () => this.#fail(new Error('the worker has ended unexpectedly; load again to continue'))
  }

  /** Whether the worker answers calls; after a failure of the module or the end of the worker it does not. */
  get alive(): boolean {
    return !this.#ended && !this.#broken
  }

  /** Calls a method of the worker. An abort rejects at once and stops the work at its next step. */
  call<T, P = never>(method: string, args: unknown[], options: CallOptions<P> = {}): Promise<T> {
    const { transfer = [], signal, onProgress } = options
    if (this.#ended) return Promise.reject(this.#ended)
    if (signal?.aborted) return Promise.reject(signal.reason)
    const id = calls++
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

  /** Ends this use of the worker and rejects its unanswered calls. */
  close(): void {
    this.#end(new Error('this posterior or live training has been closed'))
  }

  /** Ends the worker itself, even in the middle of a piece of work. */
  end(): void {
    this.#fail(new Error('this live training has been closed'))
  }

  /** Ends the worker itself, which cannot be used again. */
  #fail(reason: Error): void {
    this.#broken = true
    this.#end(reason)
  }

  #send(request: Request, transfer: Transferable[] = []): void {
    this.#worker.postMessage(request, transfer)
  }

  #receive(reply: Reply): void {
    if ('life' in reply) return
    if ('device' in reply) return this.onDevice(reply.device)
    const pending = this.#pending.get(reply.id)
    if (!pending) return
    if ('progress' in reply) return pending.onProgress?.(reply.progress as never)
    this.#pending.delete(reply.id)
    if ('value' in reply) return pending.resolve(reply.value as never)
    this.#broken ||= reply.error.fatal === true
    const error = new Error(reply.error.message)
    error.name = reply.error.name
    pending.reject(error)
  }

  #end(reason: Error): void {
    if (this.#ended) return
    this.#ended = reason
    for (const cancel of this.#pending.keys()) this.#send({ cancel })
    for (const { reject } of this.#pending.values()) reject(reason)
    this.#pending.clear()
    if (this.#broken || idle.length >= MAX_IDLE) return this.#stop()
    this.#send({ id: calls++, method: 'release', args: [] })
    rest(this.#running)
  }

  #stop(): void {
    this.#worker.onmessage = this.#worker.onerror = this.#worker.onmessageerror = null
    this.#running.onEnd = () => {}
    this.#worker.terminate()
  }
}
