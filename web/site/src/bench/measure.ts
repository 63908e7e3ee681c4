// What the bench page measures: posterior draws by one worker, by all and on WebGPU, and optimizer steps of live training.
import { LiveTraining, type Posterior, load } from 'diffem';
import { DEFAULTS, liveConfig } from '../session/config';

type Device = 'cpu' | 'webgpu';

export interface Row {
  work: string;
  device: string;
  /** Best time, in seconds. */
  seconds: number;
  /** Draws or optimizer steps per second. */
  rate: number;
}

export interface Plan {
  /** Most workers on the CPU. */
  workers: number;
  /** Whether there is an adapter of WebGPU. */
  webgpu: boolean;
  /** Runs of which the best counts. */
  rounds: number;
}

const DRAWS = 16;
const MODELS = [
  ['clothing', './checkpoint.safetensors'],
  ['digits', './digits.safetensors'],
] as const;
/** Runs of which the best counts on WebGPU, whose software adapters take minutes. */
const ROUNDS_ON_GPU = 2;
/** Workers that have not started after this time, in ms, are not waited for. */
const PATIENCE = 10_000;

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return (performance.now() - from) / 1000;
}

async function best(rounds: number, work: () => Promise<unknown>): Promise<number> {
  let least = Infinity;
  for (let i = 0; i < rounds; i += 1) least = Math.min(least, await seconds(work));
  return least;
}

/** Resolves once `workers` share the draws; the first draws start them. */
async function staffed(posterior: Posterior, workers: number, draw: () => Promise<unknown>): Promise<void> {
  await draw();
  const until = performance.now() + PATIENCE;
  while (posterior.workers < workers && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 50));
  // The first draws of the others compile their code.
  if (workers > 1) await draw();
}

async function draws([name, file]: readonly [string, string], device: Device, workers: number, rounds: number): Promise<Row> {
  const posterior = await load(new URL(file, document.baseURI), { device, workers });
  try {
    const { y, a } = await posterior.example(0);
    const draw = (): Promise<unknown> => posterior.samplePosterior(y, a, { draws: DRAWS });
    await staffed(posterior, workers, draw);
    const time = await best(rounds, draw);
    const on = device === 'webgpu' ? 'WebGPU' : posterior.workers === 1 ? 'CPU, 1 worker' : `CPU, ${posterior.workers} workers`;
    return { work: `${DRAWS} draws of ${name}`, device: on, seconds: time, rate: DRAWS / time };
  } finally {
    posterior.close();
  }
}

/** Optimizer steps of the first lap of the heart, until one piece of work after the first is measured `rounds` times. */
async function training(device: Device, rounds: number): Promise<Row> {
  const config = liveConfig(DEFAULTS);
  const training = await LiveTraining.create(config, 0, { device });
  try {
    await training.step();
    let done = (await training.step()).fraction;
    const step = async (): Promise<void> => {
      const { fraction } = await training.step();
      steps = Math.round((fraction - done) * config.steps);
      done = fraction;
    };
    let steps = 1;
    const time = await best(rounds, step);
    return { work: `${steps} training steps`, device: device === 'webgpu' ? 'WebGPU' : 'CPU, 1 worker', seconds: time, rate: steps / time };
  } finally {
    training.close();
  }
}

/** Measures everything in `plan`, and reports every row, or why it is missing. */
export async function measure(plan: Plan, report: (row: Row | { work: string; failed: string }) => void): Promise<void> {
  const { workers, webgpu, rounds } = plan;
  const one = async (work: string, row: () => Promise<Row>): Promise<void> => {
    try {
      report(await row());
    } catch (error) {
      report({ work, failed: error instanceof Error ? error.message : String(error) });
    }
  };
  const crews = workers > 1 ? [1, workers] : [1];
  for (const model of MODELS) {
    const work = `${DRAWS} draws of ${model[0]}`;
    for (const crew of crews) await one(work, () => draws(model, 'cpu', crew, rounds));
    if (webgpu) await one(`${work} on WebGPU`, () => draws(model, 'webgpu', 1, ROUNDS_ON_GPU));
  }
  await one('training steps', () => training('cpu', 4 * rounds));
  if (webgpu) await one('training steps on WebGPU', () => training('webgpu', ROUNDS_ON_GPU));
}
