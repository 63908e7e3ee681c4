// The two charts beside a run: the divergence from the truth per lap, and the training loss.
import { type TemplateResult } from 'lit';
import { lineChart } from '../lib/chart';
import type { LiveSession } from '../session/session';

/** Points per line; more could not be told apart. */
const POINTS = 320;

export function divergenceChart(s: LiveSession): TemplateResult {
  const points = s.laps.flatMap((l) => (l.divergence === undefined ? [] : [[l.lap, Math.max(l.divergence, 1e-6)] as const]));
  const floor = s.laps.map((l) => l.floor).find((f) => f !== undefined);
  const xMax = Math.max(s.config.laps, s.laps.length - 1);
  const floorLine = floor === undefined ? [] : ([[0, floor], [xMax, floor]] as const);
  return lineChart({
    title: 'Sinkhorn divergence from the truth',
    xLabel: 'lap (click to show)',
    xMax,
    log: true,
    series: [
      { name: 'floor', label: 'floor: two clean samples', points: floorLine },
      { name: 'posterior', label: 'reconstructions', points, dots: true },
    ],
    marked: s.shownLap ?? s.laps.length - 1,
    pick: (lap) => s.scrub(lap >= s.laps.length - 1 ? undefined : lap),
    height: 180,
  });
}

export function lossChart(s: LiveSession): TemplateResult {
  const live = s.losses.length > 0;
  const all = live ? s.losses.map((l) => [l.at, l.value] as const) : s.laps.flatMap((l) => (l.loss === undefined ? [] : [[l.lap, l.loss] as const]));
  const every = Math.max(1, Math.ceil(all.length / POINTS));
  return lineChart({
    title: 'Training loss of the M-step',
    xLabel: 'lap',
    xMax: Math.max(s.config.laps, s.laps.length - 1),
    log: true,
    series: [{ name: 'loss', label: '', points: all.filter((_, i) => i % every === 0) }],
    height: 130,
  });
}
