// A run made earlier by this very program (scripts/record.mjs), so that there is something true to look at while
// WebAssembly is on its way.
import { type Packed, unpack } from '../lib/pack.mjs';
import type { DataSet, LapRecord } from './session';

interface RecordedFile {
  config: Record<string, unknown>;
  d: number;
  m: number;
  observations: number;
  truth: Packed;
  y: Packed;
  a: Packed;
  draws?: { of: number; diffem: Packed; mmps: Packed }[];
  laps: { lap: number; cloud: Packed; divergence?: number; floor?: number; loss?: number }[];
}

/** Draws of one observation's posterior after the last lap, [draws, d]: by this method and by the one that matches moments. */
export interface RecordedDraws {
  of: number;
  diffem: Float32Array;
  mmps: Float32Array;
}

export interface Recorded {
  data: DataSet;
  laps: LapRecord[];
  draws: RecordedDraws[];
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
  const draws = (file.draws ?? []).map(({ of, diffem, mmps }) => ({ of, diffem: unpack(diffem), mmps: unpack(mmps) }));
  return { data, laps, draws };
}

/** Fetches and unpacks a recorded run. */
export async function fetchRecorded(url: URL): Promise<Recorded> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`recorded run ${String(url)}: ${response.status} ${response.statusText}`);
  return parseRecorded((await response.json()) as RecordedFile);
}
