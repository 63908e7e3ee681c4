// The draws of one pixel on an axis, and the coverage of the range of the draws over all hidden pixels.
import { scaleLinear } from 'd3-scale';
import { type TemplateResult, css, html, nothing, svg } from 'lit';
import { short } from '../../lib/format';

const WIDTH = 340;
const HEIGHT = 74;
/** Room beside the axis for half of a tick's text. */
const MARGIN = 20;

/** Values of pixel `i` in draws [n, d], in ascending order. */
export function valuesAt(draws: Float32Array, d: number, i: number): number[] {
  return Array.from({ length: draws.length / d }, (_, k) => draws[k * d + i] ?? 0).sort((a, b) => a - b);
}

export interface PixelView {
  /** The draws of the pixel, in ascending order. */
  values: readonly number[];
  truth: number | undefined;
  /** Whether the pixel is hidden; undefined where no pixel is observed by itself. */
  hidden: boolean | undefined;
  /** Pixel values that the axis covers at least. */
  range: readonly [number, number];
  /** Position of the pixel in words. */
  where: string;
}

/** Where the axis begins and ends: it covers the values of pictures with some room, and everything that is drawn. */
function extentOf({ values, truth, range: [low, high] }: PixelView): [number, number] {
  const room = (high - low) * 0.15;
  const drawn = truth === undefined ? values : [...values, truth];
  return [Math.min(low - room, ...drawn), Math.max(high + room, ...drawn)];
}

/** Draws one pixel's posterior draws, their range and the truth on an axis. */
export function intervalChart(v: PixelView): TemplateResult {
  const x = scaleLinear(extentOf(v), [MARGIN, WIDTH - MARGIN]);
  const [first, last] = [v.values[0] ?? 0, v.values.at(-1) ?? 0];
  const truth = v.truth === undefined ? nothing : svg`<path class="truth" d="M${x(v.truth)} 12V46"></path>`;
  const label = `${v.where}: draws from ${short(first)} to ${short(last)}${v.truth === undefined ? '' : `, truth ${short(v.truth)}`}`;
  return html`
    <figure class="interval" part="interval">
      <div class="chart-title">${v.where}${v.hidden === undefined ? '' : v.hidden ? ' (hidden)' : ' (observed)'}</div>
      <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label=${label}>
        <rect class="span" x=${x(first)} width=${Math.max(1, x(last) - x(first))} y="20" height="18" rx="2"></rect>
        ${v.values.map((value) => svg`<circle cx=${x(value)} cy="29" r="3.5"></circle>`)} ${truth}
        <path class="axis" d="M${MARGIN} 54H${WIDTH - MARGIN}"></path>
        ${x.ticks(5).map((t) => svg`<text x=${x(t)} y="69" text-anchor="middle">${short(t)}</text>`)}
      </svg>
    </figure>`;
}

/**
 * Share of the hidden pixels of `x` that lie between the smallest and the largest draw, and the number of
 * hidden pixels.
 */
export function coverage(draws: Float32Array, x: Float32Array, hidden: (i: number) => boolean): { share: number; of: number } {
  const d = x.length;
  let [inside, of] = [0, 0];
  for (let i = 0; i < d; i += 1) {
    if (!hidden(i)) continue;
    const truth = x[i] ?? 0;
    let [low, high] = [Infinity, -Infinity];
    for (let at = i; at < draws.length; at += d) {
      low = Math.min(low, draws[at] ?? 0);
      high = Math.max(high, draws[at] ?? 0);
    }
    of += 1;
    if (low <= truth && truth <= high) inside += 1;
  }
  return { share: of ? inside / of : NaN, of };
}

export const intervalStyles = css`
  .interval { margin: 0; }
  .interval svg { display: block; width: 100%; max-width: 30rem; height: auto; }
  .interval .span { fill: var(--diffem-posterior); opacity: 0.25; }
  .interval circle { fill: var(--diffem-posterior); fill-opacity: 0.8; stroke: var(--diffem-panel); }
  .interval .truth { stroke: var(--diffem-truth); stroke-width: 3; fill: none; }
  .interval .axis { stroke: var(--diffem-muted); fill: none; }
  .interval text { font-size: 11.5px; fill: var(--diffem-muted); }
`;
