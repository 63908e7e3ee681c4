// The run's channel as its bundle states it: a list of stages. The page changes one thing in it, a mask's rate.

interface Stage {
  kind: string;
  rate?: unknown;
  [setting: string]: unknown;
}

function stages(channel: unknown): Stage[] {
  const list = Array.isArray(channel) ? channel : [channel];
  return list.filter((s): s is Stage => typeof s === 'object' && s !== null && typeof (s as Stage).kind === 'string');
}

const isMask = (s: Stage): boolean => s.kind.endsWith('mask') && typeof s.rate === 'number';

/** Rate of the channel's mask, or nothing where it has none. */
export function maskRate(channel: unknown): number | undefined {
  const rate = stages(channel).find(isMask)?.rate;
  return typeof rate === 'number' ? rate : undefined;
}

/** The same channel with another mask rate. */
export function withRate(channel: unknown, rate: number): unknown {
  return stages(channel).map((s) => (isMask(s) ? { ...s, rate } : s));
}
