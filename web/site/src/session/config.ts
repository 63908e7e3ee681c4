// Settings of a live run. The defaults are those of the recorded run that figures show while WebAssembly is
// being loaded.
import type { LiveConfig } from 'diffem';
import { decode } from '../drawing/strokes';

export const DATA = ['heart', 'curve', 'manifold', 'drawn'] as const;
export type DataKind = (typeof DATA)[number];
export type StartKind = 'gaussian' | 'wide' | 'narrow';

export interface SessionConfig {
  data: DataKind;
  /** Strokes of the reader as text (see ../drawing/strokes), where the data are drawn; otherwise ''. */
  drawing: string;
  /** Standard deviation of the signals around the strokes. */
  thickness: number;
  start: StartKind;
  observations: number;
  noise: number;
  laps: number;
  steps: number;
  seed: number;
}

export const DEFAULTS: SessionConfig = {
  data: 'heart',
  drawing: '',
  thickness: 0.03,
  start: 'gaussian',
  observations: 4096,
  noise: 0.02,
  laps: 30,
  steps: 1600,
  seed: 0,
};

/** Observation selected at first: its line crosses the curve in two places that are far apart. */
export const SELECTED = 2;

/** Standard deviations of the isotropic starts; the data lie in [-2, 2] in every coordinate. */
export const START_WIDTH = { wide: 6, narrow: 0.1 } as const;

export const LIMITS = {
  observations: { min: 64, max: 8192 },
  thickness: { min: 0, max: 0.2 },
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
  batch: 160,
  width: 64,
  depth: 4,
  embedding: 8,
  sigma: [0.02, 5],
  learningRate: 2e-3,
  optimizer: 'muon',
  sampler: { kind: 'heun', steps: 16 },
  relaxation: 2,
  imputedWeight: 0.3,
};

/** The levers are those of the command line's preset. */
const MANIFOLD: Training = { batch: 256, width: 128, depth: 3, learningRate: 2e-3, optimizer: 'muon', relaxation: 3, imputedWeight: 0.1 };

/**
 * What is drawn may be symmetric, so that at first the network has little to learn: it needs a clean gradient,
 * and with the steps of `PLANE` it stays with the Gaussian. Larger steps sharpen what it has found.
 */
const DRAWN: Training = { ...PLANE, batch: 256, learningRate: 1e-3, laterLearningRate: 4e-3 };

const TRAINING: Record<DataKind, Training> = { heart: PLANE, curve: PLANE, manifold: MANIFOLD, drawn: DRAWN };

/** The configuration that the worker receives. */
export function liveConfig(c: SessionConfig): LiveConfig {
  const init = c.start === 'gaussian' ? ({ kind: 'gaussian' } as const) : ({ kind: 'isotropic', std: START_WIDTH[c.start] } as const);
  const { observations, noise, laps, steps } = c;
  return { data: dataOf(c), observations, noise, laps, steps, init, ...TRAINING[c.data] };
}

function dataOf({ data, drawing, thickness }: SessionConfig): LiveConfig['data'] {
  if (data !== 'drawn') return data;
  return { drawn: { strokes: (decode(drawing) ?? []).map((s) => s.map(([x, y]) => [x, y])), width: thickness } };
}

/**
 * `config` with every number clamped to its limits, with the default for a number that is not finite, and
 * with the default data for a drawing that is none.
 */
export function clamped(config: SessionConfig): SessionConfig {
  const into = (key: keyof typeof LIMITS, whole: boolean): number => {
    const { min, max } = LIMITS[key];
    const value = Number.isFinite(config[key]) ? config[key] : DEFAULTS[key];
    return Math.min(max, Math.max(min, whole ? Math.round(value) : value));
  };
  const drawn = config.data === 'drawn' && decode(config.drawing) !== undefined;
  return {
    ...config,
    data: config.data === 'drawn' && !drawn ? DEFAULTS.data : config.data,
    drawing: drawn ? config.drawing : '',
    thickness: drawn ? into('thickness', false) : DEFAULTS.thickness,
    observations: into('observations', true),
    noise: into('noise', false),
    laps: into('laps', true),
    steps: into('steps', true),
    seed: Number.isFinite(config.seed) ? Math.max(0, Math.floor(config.seed)) : DEFAULTS.seed,
  };
}
