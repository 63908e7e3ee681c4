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

/** Whether observations are lines of frequencies; throws where they are frequencies of another kind. */
export function hasLines(channel: unknown): boolean {
  const list = stages(channel);
  const scan = list.find((s) => s.kind === 'fourier-mask');
  if (!scan) return false;
  const { complex = false, pattern = 'columns' } = scan;
  if (complex || pattern !== 'columns' || !list.every((s) => s === scan || s.kind === 'noise')) {
    throw new Error('this checkpoint observes frequencies in a way that <diffem-posterior> cannot show; it shows whole columns of real pictures, with noise');
  }
  return true;
}

/** How many of `width` lines in the middle every observation measures. */
export function centerLines(channel: unknown, width: number): number {
  const share = stages(channel).find((s) => s.kind === 'fourier-mask')?.center;
  return Math.round((typeof share === 'number' ? share : 0) * width);
}
