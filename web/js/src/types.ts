// The JavaScript surface of diffem. Arrays are row-major Float32Arrays; every failure is an Error with the core's message.

/** Where the work is done. */
export type DeviceKind = 'cpu' | 'webgpu'

/** Samplers, as configuration files call them. */
export type SamplerKind = 'ddpm' | 'ddim' | 'heun' | 'dpmpp2m' | 'dpmpp2m-sde' | 'pc'

/** How a checkpoint is loaded. */
export interface LoadOptions {
  /** `auto` (the default): WebGPU where there is an adapter and the package has its module, else the CPU. */
  device?: 'auto' | DeviceKind
  /** Bytes of the checkpoint so far; the total is undefined where the server does not say. */
  onProgress?: (loadedBytes: number, totalBytes: number | undefined) => void
  signal?: AbortSignal
}

/** What a loaded checkpoint is. */
export interface PosteriorInfo {
  /** Where it is sampled; becomes `cpu` when a WebGPU device is lost. */
  device: DeviceKind
  /** Name of the run, and the lap (from 1) whose posterior this is. */
  name: string
  lap: number
  /** Length of a signal, of an observation, and of the operator's parameters (0: none). */
  d: number
  m: number
  k: number
  /** Number of weights. */
  parameters: number
  /** Present where signals are images, flattened channel by channel, row by row; values lie in [-2, 2]. */
  image?: { channels: number; height: number; width: number }
  /** The channel's stages, in the words of configuration files. */
  channel: unknown
  /** The run's sampler, in the words of configuration files. */
  sampler: unknown
  /** Greatest noise level, from which sampling starts. */
  sigmaMax: number
  /** Observations that travel in the checkpoint. */
  examples: number
}

/** y, and the operator's parameters a (a mask, rows of a matrix) where the channel has any. */
export interface Observation {
  y: Float32Array
  a?: Float32Array
}

/** An observation with the signal behind it, where that is known. */
export interface Example extends Observation {
  x?: Float32Array
}

/** Where the draws stand after a step. */
export interface SampleStep {
  /** Steps taken, from 1. */
  step: number
  steps: number
  /** Noise level reached. */
  sigma: number
  /** x at that level, [draws * d]. */
  state: Float32Array
  /** The denoiser's mean at the level before, [draws * d]. */
  mean: Float32Array
}

/** How a posterior is sampled. */
export interface SampleOptions {
  /** Number of draws (default 1). */
  draws?: number
  /** Sampler steps (default: the run's). */
  steps?: number
  /** Kind of sampler (default: the run's). */
  sampler?: SamplerKind
  /** Seed: the draws are those of `diffem sample --seed` (default 0). */
  seed?: number
  /** Place of the observation in a file given to `diffem sample`; each place has its own noise (default 0). */
  index?: number
  signal?: AbortSignal
  /** Called after every step; the states are read from the device only if this is given. */
  onStep?: (step: SampleStep) => void
}

/** How a signal is corrupted. */
export interface ObserveOptions {
  /** Seed: the observation is that of `diffem corrupt --seed` for the first signal of a file (default 0). */
  seed?: number
  /** Fixes the operator (a painted mask), [k]; the noise stays that of the seed. */
  a?: Float32Array
  /** Stages in place of the run's channel (another rate), in the words of configuration files; lengths must stay. */
  channel?: unknown
}

/** A live run. */
export interface LabConfig {
  /**
   * `heart` and `curve` (a trefoil, which takes many more laps): in the plane, seen through 1-D projections; `manifold`: the
   * paper's curve in R^5, seen through 2-D ones.
   */
  data: 'heart' | 'curve' | 'manifold'
  observations: number
  /** Standard deviation of the noise. */
  noise: number
  /** First reconstructions: under a fitted Gaussian (default), or under N(0, std² I) as it is (too wide, too narrow). */
  start?: { kind: 'gaussian' } | { kind: 'isotropic'; std: number }
  /** Laps in all. */
  laps: number
  /** Gradient steps of an M-step. */
  steps: number
  /** Observations a gradient step (default 256). */
  batch?: number
  /** Units of a hidden layer (default 128). */
  width?: number
  /** Hidden layers (default 3). */
  depth?: number
  /** Length of the noise embedding, even (default 32). */
  embedding?: number
  /** Least and greatest noise level, in units of the standardized signal (default .001 and 10). */
  sigma?: [number, number]
  /** First learning rate of a lap (default 2e-3). */
  learningRate?: number
  /** Sampler of the E-step (default: ddpm, 30 steps). */
  sampler?: { kind: SamplerKind; steps: number }
}

/** What a live run is. */
export interface LabInfo {
  d: number
  m: number
  observations: number
  device: DeviceKind
  /** Its settings in the words of configuration files: `diffem train` with them gives the same reconstructions. */
  config: unknown
}

/** What one unit of work did: some gradient steps of an M-step, or one sampler step of an E-step. */
export interface LabProgress {
  /** The phase that the unit belonged to; `done`: all laps are over. */
  phase: 'start' | 'm-step' | 'e-step' | 'done'
  /** Laps finished so far. */
  lap: number
  /** Of the phase, in [0, 1]; 1 in an e-step ends the lap. */
  fraction: number
  /** Mean loss of the unit (m-step). */
  loss?: number
  /** Noise level (e-step). */
  sigma?: number
  /** The points on their way, [n * d] (start, e-step). */
  cloud?: Float32Array
  /** Sinkhorn divergence of the reconstructions to the truth (start, end of a lap). */
  divergence?: number
  /** The same of a sample of the truth: what a perfect reconstruction would score. */
  floor?: number
}

/** Closed-form EM on a scalar Gaussian, one value a lap from 0. */
export interface GaussianRun {
  /** Variance of the prior. */
  variance: Float64Array
  /** KL divergence of the observations' law, in nats. */
  kl: Float64Array
  /** The theorem's bound on the mean of the divergences up to this lap. */
  bound: Float64Array
}
