// What a live run is made of, and its defaults: those of the recorded run that the figures show before WebAssembly is here.
import type { LabConfig } from 'diffem';

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

/** Observation singled out at first: one whose line crosses the curve more than once. */
export const SELECTED = 0;

/** Standard deviations of the isotropic starts; the data fill [-2, 2] in every coordinate. */
export const START_WIDTH = { wide: 6, narrow: 0.1 } as const;

export const LIMITS = {
  observations: { min: 64, max: 8192 },
  noise: { min: 0.01, max: 0.5 },
  laps: { min: 1, max: 64 },
  steps: { min: 10, max: 4000 },
} as const;

type Method = Pick<LabConfig, 'batch' | 'width' | 'depth' | 'embedding' | 'sigma' | 'learningRate' | 'sampler'>;

/**
 * In the plane, a small network and the noise levels at which a point's place along its line is decided: more steps a second
 * close the curve sooner than more units do. The second-order sampler keeps the draws as wide as they should be.
 */
const PLANE: Method = {
  batch: 128,
  width: 64,
  depth: 4,
  embedding: 8,
  sigma: [0.02, 5],
  learningRate: 2e-3,
  sampler: { kind: 'heun', steps: 16 },
};

const METHOD: Record<DataKind, Method> = { heart: PLANE, curve: PLANE, manifold: { batch: 256, width: 128, depth: 3, learningRate: 2e-3 } };

/** The configuration that the worker gets. */
export function labConfig(c: SessionConfig): LabConfig {
  const start = c.start === 'gaussian' ? ({ kind: 'gaussian' } as const) : ({ kind: 'isotropic', std: START_WIDTH[c.start] } as const);
  const { data, observations, noise, laps, steps } = c;
  return { data, observations, noise, laps, steps, start, ...METHOD[data] };
}

/** `config` with every number inside its limits. */
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
