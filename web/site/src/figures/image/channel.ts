// The run's channel as its bundle states it: a list of stages. The page changes one thing in it, a mask's rate.

interface Stage {
  kind: string;
  rate?: unknown;
  /** Where each image had a rate of its own, the greatest. */
  max_rate?: unknown;
  [setting: string]: unknown;
}

function stages(channel: unknown): Stage[] {
  const list = Array.isArray(channel) ? channel : [channel];
  return list.filter((s): s is Stage => typeof s === 'object' && s !== null && typeof (s as Stage).kind === 'string');
}

const isMask = (s: Stage): boolean => s.kind.endsWith('mask') && typeof s.rate === 'number';

/** Whether the channel hides values at a rate that can be changed. */
export const hasRate = (channel: unknown): boolean => stages(channel).some(isMask);

/** The same channel with one mask rate for every image. */
export function withRate(channel: unknown, rate: number): unknown {
  return stages(channel).map((s) => (isMask(s) ? { ...s, rate, max_rate: undefined } : s));
}
