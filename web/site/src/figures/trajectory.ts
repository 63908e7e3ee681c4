// Posterior draws of one observation at every noise level of the sampler.

export interface Trajectory {
  /** Index of the observation; undefined before anything is drawn. */
  of: number | undefined;
  sigmas: number[];
  /** x_t of all draws, [draws, d], one array per noise level. */
  states: Float32Array[];
  /** The denoiser's posterior means at the points of the level before, likewise. */
  means: Float32Array[];
}

export const emptyTrajectory = (): Trajectory => ({ of: undefined, sigmas: [], states: [], means: [] });
