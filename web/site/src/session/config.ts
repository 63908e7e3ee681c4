// Settings of a live run. The defaults are those of the recorded run that figures show while WebAssembly is
// being loaded.
import type { LiveConfig } from 'diffem';

export const DATA = ['heart', 'curve', 'manifold'] as const;
export type DataKind = (typeof DATA)[number];
export type StartKind = 'gaussian' | 'wide' | 'narrow';

export interface SessionConfig {
  data: DataKind;
  start: StartKind;
  observations: number;
  noise: number;
  laps: number;
  steps: number;
  seed: number;
}

export const DEFAULTS: SessionConfig = {
  data: 'heart',
  start: 'gaussian',
  observations: 4096,
  noise: 0.02,
  laps: 30,
  steps: 2000,
  seed: 0,
};

/** Observation selected at first: its line crosses the curve in two places that are far apart. */
export const SELECTED = 2;

/** Standard deviations of the isotropic starts; the data lie in [-2, 2] in every coordinate. */
export const START_WIDTH = { wide: 6, narrow: 0.1 } as const;

export const LIMITS = {
  observations: { min: 64, max: 8192 },
  noise: { min: 0.01, max: 0.5 },
  laps: { min: 1, max: 64 },
  steps: { min: 10, max: 4000 },
} as const;

type Training = Omit<LiveConfig, 'data' | 'init' | keyof SessionConfig>;

/**
 * For signals in the plane: a small network, because more gradient steps per second learn the curve sooner
 * than more units, and the noise levels that decide where on its line a point lies. The second-order sampler
 * preserves the width of the draws. The first laps are over-relaxed, which makes them worth two to four plain ones from
 * every start.
 */
const PLANE: Training = {
  batch: 128,
  width: 64,
  depth: 4,
  embedding: 8,
  sigma: [0.02, 5],
  learningRate: 2e-3,
  sampler: { kind: 'heun', steps: 16 },
  relaxation: 2,
  imputedWeight: 0.3,
};

/** The levers are those of the command line's preset. */
const MANIFOLD: Training = { batch: 256, width: 128, depth: 3, learningRate: 2e-3, relaxation: 3, imputedWeight: 0.1 };

const TRAINING: Record<DataKind, Training> = { heart: PLANE, curve: PLANE, manifold: MANIFOLD };

/** The configuration that the worker receives. */
export function liveConfig(c: SessionConfig): LiveConfig {
  const init = c.start === 'gaussian' ? ({ kind: 'gaussian' } as const) : ({ kind: 'isotropic', std: START_WIDTH[c.start] } as const);
  const { data, observations, noise, laps, steps } = c;
  return { data, observations, noise, laps, steps, init, ...TRAINING[data] };
}

/** `config` with every number clamped to its limits, and with the default for a number that is not finite. */
export function clamped(config: SessionConfig): SessionConfig {
  const into = (key: keyof typeof LIMITS, whole: boolean): number => {
    const { min, max } = LIMITS[key];
    const value = Number.isFinite(config[key]) ? config[key] : DEFAULTS[key];
    return Math.min(max, Math.max(min, whole ? Math.round(value) : value));
  };
  return {
    ...config,
    observations: into('observations', true),
    noise: into('noise', false),
    laps: into('laps', true),
    steps: into('steps', true),
    seed: Number.isFinite(config.seed) ? Math.max(0, Math.floor(config.seed)) : DEFAULTS.seed,
  };
}
