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
  laps: { lap: number; cloud: Packed; divergence?: number; floor?: number; loss?: number }[];
}

export interface Recorded {
  data: DataSet;
  laps: LapRecord[];
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
  return { data, laps };
}

/** Fetches and unpacks a recorded run. */
export async function fetchRecorded(url: URL): Promise<Recorded> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`recorded run ${String(url)}: ${response.status} ${response.statusText}`);
  return parseRecorded((await response.json()) as RecordedFile);
}
