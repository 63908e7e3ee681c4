// The types of the JavaScript API. Arrays are row-major Float32Arrays, and every failure is an Error with the
// core's message.

/** Device that does the work. */
export type DeviceKind = 'cpu' | 'webgpu'

/** Samplers, named as in configuration files. */
export type SamplerKind = 'ddpm' | 'ddim' | 'heun' | 'dpmpp2m' | 'dpmpp2m-sde' | 'pc'

/** Options for loading a checkpoint. */
export interface LoadOptions {
  /**
   * `auto` (the default) is WebGPU where there is an adapter and the package has its module, and the CPU
   * elsewhere.
   */
  device?: 'auto' | DeviceKind
  /**
   * Greatest number of workers that share the draws of a call on the CPU (default 1). The others load the checkpoint too; they
   * start with the first call of several draws and help with the next. The draws are the same for any number.
   */
  workers?: number
  /** Called with the bytes downloaded so far; the total is undefined where the server does not state it. */
  onProgress?: (loadedBytes: number, totalBytes: number | undefined) => void
  signal?: AbortSignal
}

/** Description of a loaded checkpoint. */
export interface PosteriorInfo {
  /** Device that samples; it becomes `cpu` when a WebGPU device is lost. */
  device: DeviceKind
  /** Name of the run. */
  name: string
  /** Lap after which this posterior was saved, from 1. */
  lap: number
  /** Length of a signal. */
  d: number
  /** Length of an observation. */
  m: number
  /** Number of the operator's parameters, 0 where it has none. */
  k: number
  /** Number of weights. */
  parameters: number
  /** Shape of the signals where they are images, flattened by channel and row, with values in [-2, 2]. */
  image?: { channels: number; height: number; width: number }
  /** Stages of the channel, as in configuration files. */
  channel: unknown
  /** Sampler of the run, as in configuration files. */
  sampler: unknown
  /** Largest noise level, from which sampling starts. */
  sigmaMax: number
  /** Number of examples in the checkpoint. */
  examples: number
}

/** One or more observations. */
export interface Observation {
  /** Observed values, [n * m]. */
  y: Float32Array
  /** Parameters of the operators (a mask, the rows of a matrix), [n * k], where the channel has any. */
  a?: Float32Array
}

/** An observation with its clean signal, where that is known. */
export interface Example extends Observation {
  /** The clean signal, [d]. */
  x?: Float32Array
}

/** State of the draws after a sampler step. */
export interface SampleStep {
  /** Number of this step, from 1. */
  step: number
  /** Number of steps in total. */
  steps: number
  /** Noise level after this step. */
  sigma: number
  /** Draws at that noise level, [draws * d]. */
  state: Float32Array
  /** The denoiser's mean at the previous noise level, [draws * d]. */
  mean: Float32Array
}

/** Options for sampling a posterior. */
export interface SampleOptions {
  /** Number of draws (default 1). */
  draws?: number
  /** Sampler steps (default: the run's). */
  steps?: number
  /** Kind of sampler (default: the run's). */
  sampler?: SamplerKind
  /** Seed of the draws, as in `diffem sample --seed` (default 0). */
  seed?: number
  /**
   * Index of the observation in a file given to `diffem sample`, because each index has its own noise
   * (default 0).
   */
  index?: number
  signal?: AbortSignal
  /** Called after every step; without it the states are not read from the device. */
  onStep?: (step: SampleStep) => void
}

/** Options for corrupting a signal. */
export interface ObserveOptions {
  /** Seed of the corruption, as in `diffem corrupt --seed` for the first signal of a file (default 0). */
  seed?: number
  /** Fixed parameters of the operator, such as a painted mask, [k]; the noise is still that of the seed. */
  a?: Float32Array
  /**
   * Stages that replace the channel of the run, as in configuration files, such as another rate; lengths must
   * not change.
   */
  channel?: unknown
}

/** A distribution of signals in the plane that is drawn: uniform along all strokes, with Gaussian width. */
export interface Drawing {
  /** Points [x, y] of every stroke, joined by straight lines, in [-2, 2]; a stroke may be a single point. */
  strokes: [number, number][][]
  /** Standard deviation of the signals around the strokes in each coordinate, 0 to 1. */
  width: number
}

/** Settings of live training. */
export interface LiveConfig {
  /**
   * Distribution of the signals. `heart` and `curve` (a trefoil, which takes many more laps) lie in the plane
   * and are observed through 1-D projections; `manifold` is the paper's curve in R^5, observed through 2-D
   * projections. A {@link Drawing} is observed as the heart is.
   */
  data: 'heart' | 'curve' | 'manifold' | { drawn: Drawing }
  /** Number of observations, 2 to 65536. */
  observations: number
  /** Standard deviation of the noise, >= 0. */
  noise: number
  /**
   * Prior of the first reconstructions: a Gaussian fitted to the observations (the default), or N(0, std² I).
   */
  init?: { kind: 'gaussian' } | { kind: 'isotropic'; std: number }
  /** Number of laps; a lap is one EM iteration, an M-step and an E-step. */
  laps: number
  /** Gradient steps per M-step. */
  steps: number
  /** Observations per gradient step (default 256). */
  batch?: number
  /** Units of a hidden layer (default 128). */
  width?: number
  /** Number of hidden layers (default 3). */
  depth?: number
  /** Length of the noise embedding, even (default 32). */
  embedding?: number
  /** Smallest and largest noise level, in units of the standardized signal (default .001 and 10). */
  sigma?: [number, number]
  /** Learning rate at the beginning of a lap (default 2e-3). */
  learningRate?: number
  /** Learning rate at the beginning of the laps after the third (default: that of all). */
  laterLearningRate?: number
  /** How weights follow their gradients (default 'adam'); 'muon' takes longer for a step and learns more from it. */
  optimizer?: 'adam' | 'muon'
  /** Sampler of the E-step (default: ddpm, 30 steps). */
  sampler?: { kind: SamplerKind; steps: number }
  /**
   * First factor of over-relaxation of the E-step, 1 to 4 (default 1, plain EM). A factor above 1 holds out a
   * tenth of the observations, whose score lowers it.
   */
  relaxation?: number
  /** Weight of imputed values as training targets, in (0, 1] (default 1). */
  imputedWeight?: number
}

/** Result of a race between the CPU and WebGPU: times of a piece of work of the M-step, in seconds. */
export interface Race {
  cpu: number
  webgpu: number
  /** False where WebGPU was given up after that time. */
  complete: boolean
  /** The device that trains from then on. */
  winner: DeviceKind
}

/** Options for live training. */
export interface LiveOptions {
  /**
   * `auto` (the default) is the CPU, in pages until WebGPU has proved to be faster and has caught up with the same run; only a
   * hardware adapter takes part. `cpu` and `webgpu` train there without a race.
   */
  device?: 'auto' | DeviceKind
  /** Lets a software adapter take part in the race, which tests do. */
  software?: boolean
  signal?: AbortSignal
}

/** Description of a live run. */
export interface LiveInfo {
  /** Length of a signal. */
  d: number
  /** Length of an observation. */
  m: number
  /** Number of observations. */
  observations: number
  /** Device that trains; it becomes `webgpu` where that wins the race. */
  device: DeviceKind
  /**
   * Settings of the run as in configuration files; `diffem train` with these settings makes the same
   * reconstructions.
   */
  config: unknown
}

/** Result of one unit of work: of some gradient steps of an M-step, or of one sampler step of an E-step. */
export interface LiveProgress {
  /** Phase of the unit; `done` once all laps are finished. */
  phase: 'start' | 'm-step' | 'e-step' | 'done'
  /** Number of finished laps. */
  lap: number
  /** Progress of the phase, in [0, 1]; a lap ends where it is 1 in an E-step. */
  fraction: number
  /** Mean loss of the unit (M-step). */
  loss?: number
  /** Noise level after the unit (E-step). */
  sigma?: number
  /** Reconstructions at that noise level, [n * d] (start and E-step). */
  cloud?: Float32Array
}

/** How far reconstructions are from the truth, which training does not know. */
export interface LiveScore {
  /** Sinkhorn divergence of the reconstructions from the truth. */
  divergence: number
  /** Sinkhorn divergence of one clean sample from another, which is the score of perfect reconstructions. */
  floor: number
}

/** Closed-form EM for a scalar Gaussian, one value per lap from lap 0. */
export interface GaussianRun {
  /** Variance of the prior. */
  variance: Float64Array
  /** KL divergence of the true distribution of observations from the one that the prior implies, in nats. */
  kl: Float64Array
  /** Upper bound of the theorem on the mean of the divergences up to this lap. */
  bound: Float64Array
}
