// Draws of one observation's posterior at every noise level the sampler passed.

export interface Trajectory {
  /** The observation; undefined where nothing was drawn. */
  of: number | undefined;
  sigmas: number[];
  /** x_t of all draws, [draws, d], a noise level each. */
  states: Float32Array[];
  /** The denoiser's means at the same points. */
  means: Float32Array[];
}

export const emptyTrajectory = (): Trajectory => ({ of: undefined, sigmas: [], states: [], means: [] });
