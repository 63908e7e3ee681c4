// The worker holds one posterior, one live training or the scorer of one, and answers messages between two steps.

import {
  type Core, type CoreLiveScorer, type CoreLiveTraining, type CorePosterior, DeviceLost, type Opened, type Sampling, open, openCpu,
} from './core.js'
import { type Failure, type Reply, type Request, buffers } from './protocol.js'
import type { DeviceKind } from './types.js'

declare const self: {
  onmessage: (event: MessageEvent<Request>) => void
  postMessage(message: Reply, transfer?: Transferable[]): void
}

/** A call in progress. */
interface Job {
  id: number
  canceled: boolean
}

let opened: Promise<Opened> | undefined
/** The checkpoint, kept in case it has to be opened on another device. */
let bytes = new Uint8Array()
let posterior: CorePosterior | undefined
let training: CoreLiveTraining | undefined
let scorer: CoreLiveScorer | undefined
/** The panic that has ended the module. */
let panic: Error | undefined
const jobs = new Map<number, Job>()

// The worker reads other messages between two steps. It yields by a message to itself, because a timer would
// wait 4 ms every time.
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
  if (value === undefined) throw new Error('this worker has loaded nothing')
  return value
}

async function engine(): Promise<Opened> {
  return need(await opened)
}

async function core(): Promise<Core> {
  return (await engine()).core
}

/** Takes all sampler steps and reads messages between them. */
async function draw(job: Job, start: () => Sampling, watched: boolean): Promise<Float32Array> {
  const sampling = start()
  for (;;) {
    await breathe()
    if (job.canceled) {
      sampling.free()
      throw new Error('canceled')
    }
    const at = sampling.advance()
    if (!at) return sampling.finish()
    if (!watched) continue
    const arrays = await sampling.state()
    self.postMessage({ id: job.id, progress: { ...at, ...arrays } }, buffers(arrays))
  }
}

/**
 * Draws from the loaded posterior. When the WebGPU device is lost it starts over on the CPU, which gives the
 * same draws.
 */
async function sample(job: Job, y: Float32Array, a: Float32Array | undefined, options: string, watched: boolean) {
  const work = () => draw(job, () => need(posterior).sample(y, a, options), watched)
  const { kind, lost } = await engine()
  try {
    return await Promise.race([work(), lost])
  } catch (error) {
    if (kind === 'cpu' || job.canceled || !deviceFailed(error)) throw error
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

async function load(job: Job, data: Uint8Array<ArrayBuffer>) {
  bytes = data
  const { lost } = await engine()
  try {
    const opened = (await core()).Posterior.open(data)
    posterior = wanted(job, await Promise.race([opened, lost]))
  } catch (error) {
    if (job.canceled || (await engine()).kind === 'cpu' || !deviceFailed(error)) throw error
    await fallBack()
  }
  return { ...need(posterior).info(), device: (await engine()).kind }
}

/** What a call has made; where it was canceled meanwhile, the worker may have another owner, who must not get it. */
function wanted<T extends { free(): void }>(job: Job, made: T): T {
  if (!job.canceled) return made
  made.free()
  throw new Error('canceled')
}

type Method = (job: Job, ...args: never[]) => unknown

const methods: Record<string, Method> = {
  open: async (_, device: 'auto' | DeviceKind) => {
    opened = open(device)
    await opened
  },
  load,
  example: (_, i: number) => need(posterior).example(i),
  observe: (_, x: Float32Array, a: Float32Array | undefined, options: string) =>
    need(posterior).observe(x, a, options),
  sample,
  liveTraining: async (job, config: string, seed: number) => {
    training = wanted(job, await (await core()).LiveTraining.create(config, seed))
    return { ...training.info(), device: (await engine()).kind }
  },
  liveTrainingStep: () => need(training).step(),
  liveTrainingCloud: () => need(training).cloud(),
  liveTrainingTruth: () => need(training).truth(),
  liveTrainingObservations: () => need(training).observations(),
  liveTrainingSample: (job, i: number, options: string, watched: boolean) =>
    draw(job, () => need(training).sample(i, options), watched),
  liveScorer: async (job, config: string, seed: number) => {
    scorer = wanted(job, (await core()).LiveScorer.create(config, seed))
  },
  liveScore: (_, cloud: Float32Array) => need(scorer).score(cloud),
  gaussianRun: async (_, truth: number, noise: number, start: number, laps: number) =>
    (await core()).gaussianRun(truth, noise, start, laps),
  release,
}

/** Frees everything that the last owner has loaded, and keeps the module for the next one. */
function release(): void {
  posterior?.free()
  training?.free()
  scorer?.free()
  posterior = training = scorer = undefined
  bytes = new Uint8Array()
}

/** The message for an error; a panic of the module is fatal, and its own message is in the text. */
function failureOf(error: unknown): Failure {
  if (error instanceof WebAssembly.RuntimeError) {
    const { diffemPanic } = globalThis as { diffemPanic?: string }
    panic = new Error(`internal error, please report it: ${diffemPanic ?? error.message}; load again to continue`)
    return { name: 'Error', message: panic.message, fatal: true }
  }
  if (error === panic) return { name: 'Error', message: panic?.message ?? '', fatal: true }
  return error instanceof Error ? { name: error.name, message: error.message } : { name: 'Error', message: String(error) }
}

async function answer(id: number, method: string, args: unknown[]): Promise<void> {
  const job = { id, canceled: false }
  jobs.set(id, job)
  try {
    if (panic) throw panic
    const work = methods[method] as ((job: Job, ...args: unknown[]) => unknown) | undefined
    if (!work) throw new Error(`the worker has no method ${method}`)
    const value = await work(job, ...args)
    self.postMessage({ id, value }, buffers(value))
  } catch (error) {
    self.postMessage({ id, error: failureOf(error) })
  } finally {
    jobs.delete(id)
  }
}

/** Holds the lock for as long as this worker lives. */
function live(lock: string): void {
  void navigator.locks.request(lock, () => {
    self.postMessage({ life: true })
    return new Promise(() => {})
  })
}

self.onmessage = ({ data }) => {
  if ('life' in data) return live(data.life)
  if (!('cancel' in data)) return void answer(data.id, data.method, data.args)
  const job = jobs.get(data.cancel)
  if (job) job.canceled = true
}
