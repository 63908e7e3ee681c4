// A run made earlier by this very program (scripts/record.mjs), so that there is something true to look at while
// WebAssembly is on its way.
import { type Packed, unpack } from '../lib/pack.mjs';
import type { Trajectory } from '../figures/trajectory';
import type { DataSet, LapRecord } from './session';

/** A closed-form run, with the variances it was asked for. */
export interface GaussianRun {
  start: number;
  noise: number;
  variance: number[];
  kl: number[];
  bound: number[];
}

interface RecordedFile {
  config: Record<string, unknown>;
  d: number;
  m: number;
  observations: number;
  truth: Packed;
  y: Packed;
  a: Packed;
  laps: { lap: number; cloud: Packed; divergence?: number; floor?: number; loss?: number }[];
  draws?: { of: number; sigmas: number[]; states: Packed[] };
  theory?: GaussianRun;
}

export interface Recorded {
  data: DataSet;
  laps: LapRecord[];
  draws?: Trajectory;
  theory?: GaussianRun;
}

export function parseRecorded(file: RecordedFile): Recorded {
  const data: DataSet = {
    d: file.d,
    m: file.m,
    n: file.observations,
    truth: unpack(file.truth),
    y: unpack(file.y),
    a: unpack(file.a),
  };
  const laps = file.laps.map(({ cloud, ...record }) => ({ ...record, cloud: unpack(cloud) }));
  const recorded: Recorded = { data, laps };
  if (file.theory) recorded.theory = file.theory;
  if (!file.draws) return recorded;
  const { of, sigmas, states } = file.draws;
  return { ...recorded, draws: { of, sigmas, states: states.map(unpack), means: [] } };
}

const fetched = new Map<string, Promise<Recorded>>();

/** Fetches and unpacks a recorded run, once for all figures that ask. */
export function fetchRecorded(url: URL): Promise<Recorded> {
  const known = fetched.get(url.href);
  if (known) return known;
  const asked = fetchOnce(url);
  fetched.set(url.href, asked);
  return asked;
}

async function fetchOnce(url: URL): Promise<Recorded> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`recorded run ${String(url)}: ${response.status} ${response.statusText}`);
  return parseRecorded((await response.json()) as RecordedFile);
}
