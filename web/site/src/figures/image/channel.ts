// The channel of a run as its checkpoint states it: a list of stages. The page changes only the rate of its
// mask.

interface Stage {
  kind: string;
  rate?: unknown;
  /** The largest rate, where each image has a rate of its own. */
  max_rate?: unknown;
  [setting: string]: unknown;
}

function stages(channel: unknown): Stage[] {
  const list = Array.isArray(channel) ? channel : [channel];
  return list.filter((s): s is Stage => typeof s === 'object' && s !== null && typeof (s as Stage).kind === 'string');
}

const isMask = (s: Stage): boolean => s.kind.endsWith('mask') && typeof s.rate === 'number';

/** Whether the channel has a mask whose rate can be changed. */
export const hasRate = (channel: unknown): boolean => stages(channel).some(isMask);

/** The same channel with mask rate `rate` for every image. */
export function withRate(channel: unknown, rate: number): unknown {
  return stages(channel).map((s) => (isMask(s) ? { ...s, rate, max_rate: undefined } : s));
}
