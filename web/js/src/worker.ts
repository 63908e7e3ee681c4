// The worker: one posterior or one lab, and answers to messages between steps.

import { type Core, type CoreLab, type CorePosterior, DeviceLost, type Opened, type Sampling, open, openCpu } from './core.js'
import { type Failure, type Reply, type Request, buffers } from './protocol.js'
import type { DeviceKind } from './types.js'

declare const self: {
  onmessage: (event: MessageEvent<Request>) => void
  postMessage(message: Reply, transfer?: Transferable[]): void
}

/** A call that is being worked on. */
interface Job {
  id: number
  cancelled: boolean
}

let opened: Promise<Opened> | undefined
/** Kept for another device. */
let bytes = new Uint8Array()
let posterior: CorePosterior | undefined
let lab: CoreLab | undefined
/** A panic ends the module for good. */
let panic: Error | undefined
const jobs = new Map<number, Job>()

// Other messages are read between two steps. A timer would wait 4 ms every time.
const { port1, port2 } = new MessageChannel()
const waiting: (() => void)[] = []
port1.onmessage = () => waiting.shift()?.()

function breathe(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve)
    port2.postMessage(0)
  })
}

function need<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('nothing is loaded')
  return value
}

async function engine(): Promise<Opened> {
  return need(await opened)
}

async function core(): Promise<Core> {
  return (await engine()).core
}

/** Takes all steps of a chain and reads messages between them. */
async function draw(job: Job, start: () => Sampling, watched: boolean): Promise<Float32Array> {
  const sampling = start()
  for (;;) {
    await breathe()
    if (job.cancelled) {
      sampling.free()
      throw new Error('cancelled')
    }
    const at = sampling.advance()
    if (!at) return sampling.finish()
    if (!watched) continue
    const arrays = await sampling.state()
    self.postMessage({ id: job.id, progress: { ...at, ...arrays } }, buffers(arrays))
  }
}

/** Draws from the loaded posterior; when the WebGPU device is lost, all over again on the CPU, which gives the same draws. */
async function sample(job: Job, y: Float32Array, a: Float32Array | undefined, options: string, watched: boolean) {
  const work = () => draw(job, () => need(posterior).sample(y, a, options), watched)
  const { kind, lost } = await engine()
  try {
    return await Promise.race([work(), lost])
  } catch (error) {
    if (kind === 'cpu' || job.cancelled || !deviceFailed(error)) throw error
    await fallBack()
    return work()
  }
}

function deviceFailed(error: unknown): boolean {
  const failed = error instanceof Error && error.message.startsWith('the device failed')
  return failed || error instanceof DeviceLost || error instanceof WebAssembly.RuntimeError
}

async function fallBack(): Promise<void> {
  if ((await engine()).kind === 'cpu') return
  opened = openCpu()
  posterior = await (await core()).Posterior.open(bytes)
  self.postMessage({ device: 'cpu' })
}

async function load(data: Uint8Array<ArrayBuffer>) {
  bytes = data
  const { lost } = await engine()
  try {
    posterior = await Promise.race([(await core()).Posterior.open(bytes), lost])
  } catch (error) {
    if ((await engine()).kind === 'cpu' || !deviceFailed(error)) throw error
    await fallBack()
  }
  return { ...need(posterior).info(), device: (await engine()).kind }
}

type Method = (job: Job, ...args: never[]) => unknown

const methods: Record<string, Method> = {
  open: async (_, device: 'auto' | DeviceKind) => {
    opened = open(device)
    await opened
  },
  load: (_, data: Uint8Array<ArrayBuffer>) => load(data),
  example: (_, i: number) => need(posterior).example(i),
  observe: (_, x: Float32Array, a: Float32Array | undefined, options: string) =>
    need(posterior).observe(x, a, options),
  sample,
  lab: async (_, config: string, seed: number) => {
    lab = await (await core()).Lab.create(config, seed)
    return { ...lab.info(), device: 'cpu' }
  },
  labStep: () => need(lab).step(),
  labCloud: () => need(lab).cloud(),
  labTruth: () => need(lab).truth(),
  labObservations: () => need(lab).observations(),
  labSample: (job, i: number, options: string, watched: boolean) =>
    draw(job, () => need(lab).sample(i, options), watched),
  gaussianRun: async (_, truth: number, noise: number, start: number, laps: number) =>
    (await core()).gaussianRun(truth, noise, start, laps),
  release,
}

/** Gives back what the last owner held: the next one finds the module alone. */
function release(): void {
  posterior?.free()
  lab?.free()
  posterior = lab = undefined
  bytes = new Uint8Array()
}

/** An error as it travels; a panic of the module is told with its message. */
function told(error: unknown): Failure {
  if (error instanceof WebAssembly.RuntimeError) {
    const { diffemPanic } = globalThis as { diffemPanic?: string }
    panic = new Error(`internal error, please report it: ${diffemPanic ?? error.message}; load again to go on`)
    return { name: 'Error', message: panic.message, fatal: true }
  }
  if (error === panic) return { name: 'Error', message: panic?.message ?? '', fatal: true }
  return error instanceof Error ? { name: error.name, message: error.message } : { name: 'Error', message: String(error) }
}

async function answer(id: number, method: string, args: unknown[]): Promise<void> {
  const job = { id, cancelled: false }
  jobs.set(id, job)
  try {
    if (panic) throw panic
    const work = methods[method] as ((job: Job, ...args: unknown[]) => unknown) | undefined
    if (!work) throw new Error(`no method ${method}`)
    const value = await work(job, ...args)
    self.postMessage({ id, value }, buffers(value))
  } catch (error) {
    self.postMessage({ id, error: told(error) })
  } finally {
    jobs.delete(id)
  }
}

self.onmessage = ({ data }) => {
  if (!('cancel' in data)) return void answer(data.id, data.method, data.args)
  const job = jobs.get(data.cancel)
  if (job) job.cancelled = true
}
