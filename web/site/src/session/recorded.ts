// A run that the command line has made (see scripts/record.mjs), which figures show while WebAssembly is
// being loaded.
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

/**
 * Posterior draws of observation `of` after the last lap, [draws, d], from a run of DiffEM and from a run of
 * EM-MMPS.
 */
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

/** Unpacks the contents of a recorded run. */
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

/** Fetches and unpacks a recorded run; rejects with the address and status where the server has none. */
export async function fetchRecorded(url: URL): Promise<Recorded> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`recorded run ${String(url)}: the server answered ${response.status} ${response.statusText}`);
  return parseRecorded((await response.json()) as RecordedFile);
}
