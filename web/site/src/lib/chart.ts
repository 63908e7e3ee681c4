// Small line charts in SVG: a few series over laps, with one marked lap that the reader can choose.
import { scaleLinear, scaleLog } from 'd3-scale';
import { line } from 'd3-shape';
import { type TemplateResult, css, nothing, svg, html } from 'lit';
import { short } from './format';

export interface Series {
  /**
   * Role of the series, which decides its style: class `s-NAME`, the posterior's color where there is no such
   * rule.
   */
  name: string;
  /** Text in the key; an empty label leaves the series out of it. */
  label: string;
  points: readonly (readonly [number, number])[];
  dots?: boolean;
}

export interface Chart {
  title: string;
  xLabel: string;
  series: readonly Series[];
  xMin?: number;
  xMax: number;
  log?: boolean;
  yDomain?: readonly [number, number];
  /** Where to draw a vertical mark. */
  marked?: number | undefined;
  /** Called with the nearest whole x when the reader clicks in the chart. */
  pick?: (x: number) => void;
  height?: number;
}

const WIDTH = 340;
const BOX = { left: 46, right: 12, top: 12, bottom: 34 };

function yScale(chart: Chart, height: number): (y: number) => number {
  const [low, high] = chart.yDomain ?? extent(chart);
  const range = [height - BOX.bottom, BOX.top];
  return chart.log ? scaleLog([low, high], range).clamp(true) : scaleLinear([low, high], range).clamp(true);
}

function extent(chart: Chart): [number, number] {
  const values = chart.series.flatMap((s) => s.points.map((p) => p[1])).filter((v) => Number.isFinite(v) && (!chart.log || v > 0));
  if (!values.length) return chart.log ? [1e-2, 1] : [0, 1];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (chart.log) return [low / 1.3, high * 1.3];
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  return [low - room, high + room];
}

function yTicks(chart: Chart): number[] {
  const [low, high] = chart.yDomain ?? extent(chart);
  if (!chart.log) return scaleLinear([low, high], [0, 1]).ticks(4);
  return logTicks(low, high);
}

/**
 * Ticks of a logarithmic axis, at most five: powers of ten on a long axis, steps of 1-3 or 1-2-5 on a short
 * one.
 */
function logTicks(low: number, high: number): number[] {
  const decades = Math.log10(high / low);
  const digits = decades >= 3 ? [1] : decades >= 1.3 ? [1, 3] : [1, 2, 5];
  const first = Math.floor(Math.log10(low));
  const powers = Array.from({ length: Math.ceil(decades) + 2 }, (_, k) => 10 ** (first + k));
  const ticks = powers.flatMap((p) => digits.map((d) => d * p)).filter((t) => t >= low && t <= high);
  const every = Math.max(1, Math.ceil(ticks.length / 5));
  return ticks.filter((_, i) => i % every === 0);
}

function axes(chart: Chart, x: (v: number) => number, y: (v: number) => number, height: number): TemplateResult {
  const ticks = scaleLinear([chart.xMin ?? 0, chart.xMax], [0, 1]).ticks(6).filter(Number.isInteger);
  const base = height - BOX.bottom;
  return svg`
    ${yTicks(chart).map((t) => svg`
      <line class="grid" x1=${BOX.left} x2=${WIDTH - BOX.right} y1=${y(t)} y2=${y(t)}></line>
      <text class="tick" x=${BOX.left - 6} y=${y(t) + 4} text-anchor="end">${short(t)}</text>`)}
    ${ticks.map((t) => svg`<text class="tick" x=${x(t)} y=${base + 15} text-anchor="middle">${short(t)}</text>`)}
    <line class="axis" x1=${BOX.left} x2=${WIDTH - BOX.right} y1=${base} y2=${base}></line>
    <text class="label" x=${WIDTH - BOX.right} y=${height - 4} text-anchor="end">${chart.xLabel}</text>`;
}

function path(s: Series, x: (v: number) => number, y: (v: number) => number): TemplateResult {
  const shown = s.points.filter((p) => Number.isFinite(p[1]));
  const d = line<readonly [number, number]>((p) => x(p[0]), (p) => y(p[1]))(shown) ?? '';
  const dots = s.dots ? shown.map((p) => svg`<circle class="dot s-${s.name}" cx=${x(p[0])} cy=${y(p[1])} r="3"></circle>`) : nothing;
  return svg`<path class="line s-${s.name}" d=${d}></path>${dots}`;
}

/** Renders the chart with its title above and its key below. */
export function lineChart(chart: Chart): TemplateResult {
  const height = chart.height ?? 190;
  const x = scaleLinear([chart.xMin ?? 0, Math.max(1, chart.xMax)], [BOX.left + 4, WIDTH - BOX.right - 4]);
  const y = yScale(chart, height);
  const picked = (event: PointerEvent): void => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    const at = x.invert(((event.clientX - box.left) / box.width) * WIDTH);
    chart.pick?.(Math.max(0, Math.min(chart.xMax, Math.round(at))));
  };
  const mark = chart.marked === undefined ? nothing : svg`<line class="mark" x1=${x(chart.marked)} x2=${x(chart.marked)} y1=${BOX.top} y2=${height - BOX.bottom}></line>`;
  return html`
    <figure class="chart" part="chart">
      <div class="chart-title">${chart.title}</div>
      <svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label=${describe(chart)} class=${chart.pick ? 'pickable' : ''}
        @pointerdown=${chart.pick ? picked : nothing}>
        ${axes(chart, x, y, height)} ${mark} ${chart.series.map((s) => path(s, x, y))}
      </svg>
      <ul class="key">${chart.series.filter((s) => s.label).map((s) => html`<li><svg viewBox="0 0 22 8" aria-hidden="true"><path class="line s-${s.name}" d="M1 4H21"></path></svg>${s.label}</li>`)}</ul>
    </figure>`;
}

/** Text alternative of the chart: the last value of each series. */
function describe(chart: Chart): string {
  const last = chart.series.map((s) => {
    const p = s.points.at(-1);
    return p ? `${s.label || s.name}: ${short(p[1])} at ${short(p[0])}` : '';
  });
  return `${chart.title}. ${last.filter(Boolean).join('; ')}`;
}

export const chartStyles = css`
  .chart { margin: 0; min-width: 0; }
  .chart svg { display: block; width: 100%; height: auto; overflow: visible; }
  .chart-title { font-size: 0.85rem; font-weight: 600; color: var(--diffem-ink); }
  .chart .tick, .chart .label { font-size: 11.5px; fill: var(--diffem-muted); }
  .chart .grid { stroke: var(--diffem-faint); stroke-width: 1; }
  .chart .axis { stroke: var(--diffem-muted); stroke-width: 1; }
  .chart .mark { stroke: var(--diffem-ink); stroke-width: 1.5; opacity: 0.55; }
  .chart .line { fill: none; stroke: var(--diffem-posterior); stroke-width: 2; stroke-linejoin: round; }
  .chart .dot { fill: var(--diffem-posterior); stroke: var(--diffem-panel); stroke-width: 1; }
  .chart .pickable { cursor: ew-resize; touch-action: pan-y; }
  .chart .s-truth { stroke: var(--diffem-truth); stroke-dasharray: 6 4; }
  .chart .s-floor { stroke: var(--diffem-floor); stroke-dasharray: 6 4; }
  .chart .s-contender { stroke: var(--diffem-contender); stroke-dasharray: 8 3; }
  .chart .s-bound { stroke: var(--diffem-bound); stroke-dasharray: 2 3; }
  .chart .s-mean { stroke: var(--diffem-mean); stroke-dasharray: 8 3; }
  .chart .s-start { stroke: var(--diffem-start); }
  .key { display: flex; flex-wrap: wrap; gap: 0.1rem 1rem; margin: 0.2rem 0 0; padding: 0; list-style: none; font-size: 0.8rem; color: var(--diffem-muted); }
  .key li { display: flex; align-items: center; gap: 0.4rem; }
  .key svg { width: 22px; flex: none; }
`;
