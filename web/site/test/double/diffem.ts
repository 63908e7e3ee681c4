// A stand-in for the package that shows the page's layout where no WebAssembly was built (`npm run
// dev:double`). It learns nothing: a timer moves the points toward the truth. The shipped site never contains
// it.
import type { LiveConfig, LiveInfo, LiveProgress, LiveScore, LoadOptions, Observation, PosteriorInfo, SampleOptions } from '../../../js/src/types';

export { hasAdapter } from '../../../js/src/adapter';
export * from '../../../js/src/types';

const UNITS = 12;
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function random(seed: number): () => number {
  let s = seed + 1;
  return () => {
    s = (s + 0x6d2b79f5) | 0;
    let t = Math.imul(s ^ (s >>> 15), 1 | s);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const gauss = (u: () => number): number => Math.sqrt(-2 * Math.log(1 - u())) * Math.cos(2 * Math.PI * u());
const curve = (z: number): number[] => [2 * Math.sin(2 * Math.PI * z + 0.4), 1.9 * Math.sin(4 * Math.PI * z), Math.cos(5 * z), Math.sin(7 * z), Math.cos(3 * z)];

export class LiveTraining {
  readonly info: LiveInfo;
  #u: () => number;
  #x: number[][] = [];
  #start: number[][] = [];
  #y: number[] = [];
  #a: number[] = [];
  #unit = -1;

  private constructor(private readonly config: LiveConfig, seed: number) {
    const [d, m] = config.data === 'manifold' ? [5, 2] : [2, 1];
    this.info = { d, m, observations: config.observations, device: 'cpu', config: {} };
    this.#u = random(seed);
    for (let i = 0; i < config.observations; i += 1) {
      const x = curve(this.#u()).slice(0, d);
      this.#x.push(x);
      this.#start.push(x.map(() => gauss(this.#u)));
      for (let r = 0; r < m; r += 1) {
        const row = x.map(() => gauss(this.#u));
        const norm = Math.hypot(...row);
        this.#a.push(...row.map((v) => v / norm));
        this.#y.push(row.reduce((s, v, k) => s + (v / norm) * (x[k] ?? 0), 0) + config.noise * gauss(this.#u));
      }
    }
  }

  static async create(config: LiveConfig, seed: number, _: object = {}): Promise<LiveTraining> {
    await wait(50);
    return new LiveTraining(config, seed);
  }

  #cloud(share: number, spread: number): Float32Array {
    return Float32Array.from(this.#x.flatMap((x, i) => x.map((v, k) => share * v + (1 - share) * (this.#start[i]?.[k] ?? 0) + spread * gauss(this.#u))));
  }

  async step(): Promise<LiveProgress> {
    await wait(20);
    this.#unit += 1;
    if (this.#unit === 0) return { phase: 'start', lap: 0, fraction: 1 };
    const at = (this.#unit - 1) % (2 * UNITS);
    const lap = Math.floor((this.#unit - 1) / (2 * UNITS));
    if (at < UNITS) return { phase: 'm-step', lap, fraction: (at + 1) / UNITS, loss: 0.3 / (1 + lap) + 0.3 / (1 + at) };
    const fraction = (at - UNITS + 1) / UNITS;
    const sigma = 10 ** (1 - 4 * fraction);
    if (fraction < 1) return { phase: 'e-step', lap, fraction, sigma, cloud: this.#cloud(lap / this.config.laps, sigma) };
    const done = lap + 1 >= this.config.laps;
    return { phase: done ? 'done' : 'e-step', lap: lap + 1, fraction: 1 };
  }

  async lap(options?: { signal?: AbortSignal; onProgress?: (p: LiveProgress) => void }): Promise<LiveProgress> {
    for (;;) {
      const p = await this.step();
      options?.onProgress?.(p);
      if (p.phase !== 'm-step' && p.fraction === 1) return p;
    }
  }

  async score(): Promise<LiveScore> {
    const lap = Math.floor(this.#unit / (2 * UNITS));
    return { divergence: 0.01 + 1.2 / (lap + 1) ** 2, floor: 0.01 };
  }

  async cloud(): Promise<Float32Array> {
    return this.#cloud(Math.floor(this.#unit / (2 * UNITS)) / this.config.laps, 0.05);
  }
  async truth(): Promise<Float32Array> {
    return Float32Array.from(Array.from({ length: 1000 }, (_, i) => curve(i / 1000).slice(0, this.info.d)).flat());
  }
  async observations(): Promise<{ y: Float32Array; a: Float32Array }> {
    return { y: Float32Array.from(this.#y), a: Float32Array.from(this.#a) };
  }
  async posterior(i: number, o: SampleOptions = {}): Promise<Float32Array> {
    const { d } = this.info;
    const ends = Array.from({ length: o.draws ?? 64 }, (_, k) => (this.#x[k % 3 ? i : (i + 7) % this.#x.length] ?? []).map((v) => v + 0.05 * gauss(this.#u))).flat();
    const noise = ends.map(() => gauss(this.#u));
    for (let step = 0; step <= 20; step += 1) {
      await wait(15);
      o.signal?.throwIfAborted();
      const sigma = 10 ** (1 - step / 5);
      const state = Float32Array.from(ends, (v, k) => v + sigma * (noise[k] ?? 0));
      o.onStep?.({ step, steps: 20, sigma, state, mean: Float32Array.from(ends) });
    }
    return Float32Array.from(ends).slice(0, (o.draws ?? 64) * d);
  }
  close(): void {}
}

export class Posterior {
  readonly info: PosteriorInfo = {
    device: 'cpu', name: 'double', lap: 1, sigmaMax: 10, k: 64, d: 64, m: 64, parameters: 1000, image: { channels: 1, height: 8, width: 8 },
    channel: [{ kind: 'noise', std: 0.05 }, { kind: 'mask', rate: 0.5 }], sampler: {}, examples: 12,
  };
  #picture = (i: number): Float32Array => Float32Array.from({ length: 64 }, (_, p) => (Math.abs(Math.hypot((p % 8) - 3.5, Math.floor(p / 8) - 3.5) - 2 - (i % 3) * 0.5) < 0.8 ? 2 : -2));
  async example(i: number): Promise<{ x?: Float32Array; y: Float32Array; a?: Float32Array }> {
    const x = this.#picture(i);
    return { x, ...(await this.observe(x, { seed: i })) };
  }
  async observe(x: Float32Array, o: { seed?: number; a?: Float32Array; channel?: unknown } = {}): Promise<Observation> {
    const u = random(o.seed ?? 0);
    const rate = (o.channel as { rate?: number }[] | undefined)?.find((s) => s.rate !== undefined)?.rate ?? 0.5;
    const a = o.a ?? Float32Array.from(x, () => (u() < rate ? 0 : 1));
    return { y: x.map((v, i) => v * (a[i] ?? 1)), a };
  }
  async samplePosterior(y: Float32Array, a: Float32Array | undefined, o: SampleOptions = {}): Promise<Float32Array> {
    const u = random(o.seed ?? 0);
    const out = Float32Array.from({ length: (o.draws ?? 16) * 64 }, (_, k) => ((a?.[k % 64] ?? 1) ? (y[k % 64] ?? 0) : 1.2 * gauss(u)));
    for (let step = 0; step < 10; step += 1) {
      await wait(30);
      o.signal?.throwIfAborted();
      o.onStep?.({ step, steps: 10, sigma: 10 ** (1 - step / 3), state: out, mean: out.map((v) => (v * step) / 10) });
    }
    return out;
  }
  close(): void {}
}

export async function load(_: string | URL | ArrayBuffer | Uint8Array, o: LoadOptions = {}): Promise<Posterior> {
  o.onProgress?.(1, 1);
  await wait(100);
  return new Posterior();
}

export async function gaussianRun(o: { truth: number; noise: number; start: number; laps: number }): Promise<{ variance: Float64Array; kl: Float64Array; bound: Float64Array }> {
  const kl = (a: number, b: number): number => 0.5 * (a / b - 1 - Math.log(a / b));
  const variance = [o.start];
  for (let k = 0; k < o.laps; k += 1) {
    const s = variance[k] ?? 1;
    variance.push((s * o.noise) / (s + o.noise) + (s / (s + o.noise)) ** 2 * (o.truth + o.noise));
  }
  const bound = variance.map((_, k) => kl(o.truth, o.start) / (k + 1));
  return { variance: Float64Array.from(variance), kl: Float64Array.from(variance, (s) => kl(o.truth + o.noise, s + o.noise)), bound: Float64Array.from(bound) };
}
