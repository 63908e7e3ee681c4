// The two charts beside a run: divergence lap by lap, and the training loss.
import { type TemplateResult } from 'lit';
import { lineChart } from '../lib/chart';
import type { LabSession } from '../session/session';

/** More points than this in one line cannot be seen. */
const POINTS = 320;

export function divergenceChart(s: LabSession): TemplateResult {
  const points = s.laps.flatMap((l) => (l.divergence === undefined ? [] : [[l.lap, Math.max(l.divergence, 1e-6)] as const]));
  const floor = s.laps.map((l) => l.floor).find((f) => f !== undefined);
  const xMax = Math.max(s.config.laps, s.laps.length - 1);
  const floorLine = floor === undefined ? [] : ([[0, floor], [xMax, floor]] as const);
  return lineChart({
    title: 'Sinkhorn divergence to the truth',
    xLabel: 'lap (click to look back)',
    xMax,
    log: true,
    series: [
      { name: 'floor', label: 'floor: truth against truth', points: floorLine },
      { name: 'divergence', label: 'reconstructions', points, dots: true },
    ],
    marked: s.shownLap ?? s.laps.length - 1,
    pick: (lap) => s.scrub(lap >= s.laps.length - 1 ? undefined : lap),
    height: 180,
  });
}

export function lossChart(s: LabSession): TemplateResult {
  const live = s.losses.length > 0;
  const all = live ? s.losses.map((l) => [l.at, l.value] as const) : s.laps.flatMap((l) => (l.loss === undefined ? [] : [[l.lap, l.loss] as const]));
  const every = Math.max(1, Math.ceil(all.length / POINTS));
  return lineChart({
    title: 'Training loss (M-step)',
    xLabel: 'lap',
    xMax: Math.max(s.config.laps, s.laps.length - 1),
    log: true,
    series: [{ name: 'loss', label: '', points: all.filter((_, i) => i % every === 0) }],
    height: 130,
  });
}
