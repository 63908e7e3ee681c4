// Loads the WebAssembly modules and decides which one to use.

import { hasAdapter } from './adapter.js'
import type { DeviceKind, GaussianRun, LiveInfo, LiveProgress, LiveScore, PosteriorInfo, SampleStep } from './types.js'

/** Posterior draws in progress; see web/src/bindings. */
export interface Sampling {
  advance(): { step: number; steps: number; sigma: number } | undefined
  state(): Promise<Pick<SampleStep, 'state' | 'mean'> | undefined>
  finish(): Promise<Float32Array>
  free(): void
}

export interface CorePosterior {
  info(): Omit<PosteriorInfo, 'device'>
  example(i: number): unknown
  observe(x: Float32Array, a: Float32Array | undefined, options: string): unknown
  sample(y: Float32Array, a: Float32Array | undefined, options: string): Sampling
  free(): void
}

export interface CoreLiveTraining {
  info(): Omit<LiveInfo, 'device'>
  step(): Promise<LiveProgress>
  cloud(): Float32Array
  truth(): Float32Array
  observations(): { y: Float32Array; a: Float32Array }
  sample(i: number, options: string): Sampling
  free(): void
}

export interface CoreLiveScorer {
  score(cloud: Float32Array): LiveScore
  free(): void
}

/** Exports of the modules. */
export interface Core {
  Posterior: { open(bytes: Uint8Array): Promise<CorePosterior> }
  LiveTraining: { create(config: string, seed: number): Promise<CoreLiveTraining> }
  LiveScorer: { create(config: string, seed: number): CoreLiveScorer }
  gaussianRun(truth: number, noise: number, start: number, laps: number): GaussianRun
}

export interface Opened {
  kind: DeviceKind
  core: Core
  /** Rejects when the WebGPU device is lost; never settles otherwise. */
  lost: Promise<never>
}

const never = new Promise<never>(() => {})

/** Opens the module of `device`; with `auto`, the CPU module where WebGPU does not start. */
export async function open(device: 'auto' | DeviceKind): Promise<Opened> {
  if (device === 'cpu') return openCpu()
  try {
    return await openGpu()
  } catch (error) {
    if (device === 'webgpu') throw error
    return openCpu()
  }
}

let cpu: Promise<Opened> | undefined

/** Opens the CPU module once: what one instance has made is unknown to another that starts beside it. */
export function openCpu(): Promise<Opened> {
  cpu ??= startCpu()
  cpu.catch(() => (cpu = undefined))
  return cpu
}

async function startCpu(): Promise<Opened> {
  const module = await import('./cpu/diffem_cpu.js')
  await module.default()
  return { kind: 'cpu', core: module as unknown as Core, lost: never }
}

async function openGpu(): Promise<Opened> {
  if (!(await hasAdapter())) throw new Error('WebGPU: this browser offers no adapter')
  const lost = watch()
  const module = await import('./gpu/diffem_gpu.js')
  await module.default()
  return { kind: 'webgpu', core: module as unknown as Core, lost }
}

interface Device {
  lost: Promise<{ reason: string; message: string }>
}

/**
 * Watches every device that is requested from now on, because the module requests its own; rejects when one
 * is lost.
 */
function watch(): Promise<never> {
  const adapter = (globalThis as { GPUAdapter?: { prototype: { requestDevice(o?: unknown): Promise<Device> } } }).GPUAdapter
  if (!adapter) return never
  const request = adapter.prototype.requestDevice
  const lost = new Promise<never>((_, reject) => {
    adapter.prototype.requestDevice = async function (options) {
      const device = await request.call(this, options)
      device.lost.then(({ message }) => reject(new DeviceLost(message)))
      return device
    }
  })
  // Only code that samples at that moment needs to know, so an unhandled rejection is no error.
  lost.catch(() => {})
  return lost
}

/** The WebGPU device was lost. */
export class DeviceLost extends Error {}
