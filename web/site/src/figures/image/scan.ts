// The lines of frequencies of <diffem-posterior>: their picture, on which the reader chooses lines, and the
// controls below it.
import { type TemplateResult, html, nothing } from 'lit';
import { short } from '../../lib/format';
import type { Palette } from '../../lib/palette';
import type { LineChooser } from './lines';
import type { PosteriorModel } from './model';
import { type Shape, drawPicture } from './pixels';

/** Powers of ten between the darkest and the brightest frequency. */
const DECADES = 3.3;
/** Side of a frequency, and height of the strip that marks measured lines, in canvas pixels. */
const ZOOM = 10;
const STRIP = 26;

/** Patterns beside the center. Opposite lines tell the same, so an odd distance measures more than an even one. */
const PATTERNS: readonly (readonly [string, (line: number, width: number) => boolean])[] = [
  ['Center only', () => false],
  ['Every 6th', (line) => line % 6 === 1],
  ['Every 4th', (line) => line % 4 === 1],
  ['Every 3rd', (line) => line % 3 === 1],
  ['Every 2nd', (line) => line % 2 === 1],
  ['One half', (line, width) => line >= width / 2],
];

export function scanView(model: PosteriorModel, lines: LineChooser, atRandom: () => void): TemplateResult {
  const { cursor, width } = lines;
  const can = model.x !== undefined;
  return html`<div class="frame">
      <canvas class="pixels paint scan" part="canvas" tabindex="0" role="application" aria-roledescription="lines of frequencies"
        aria-label="Magnitudes of the frequencies, line ${cursor + 1} of ${width}, ${lines.measured[cursor] === 1 ? 'measured' : 'not measured'}. Arrow keys move, Space measures or skips the line."
        @pointerdown=${can ? lines.down : nothing} @pointermove=${lines.move} @pointerup=${lines.up} @pointercancel=${lines.up}
        @keydown=${can ? lines.key : nothing} @keyup=${lines.keyUp}></canvas>
      <span class="cursor" style="left:${(100 * cursor) / width}%;top:0;width:${100 / width}%;height:100%"></span>
    </div>
    <p class="status" style="margin-top:.4rem">${words(lines)}</p>
    ${can ? patterns(lines, atRandom) : html`<p class="status">The clean picture is not known, so no other lines can be measured.</p>`}`;
}

function words(lines: LineChooser): string {
  const { count, known, width } = lines;
  if (!count) return 'No line is measured.';
  return `${count} of ${width} lines are measured: acceleration ${short(width / count)}. With those opposite to them, ${known} are known.`;
}

function patterns(lines: LineChooser, atRandom: () => void): TemplateResult {
  return html`<div class="controls" part="controls" style="margin-top:.6rem">
    <button @click=${atRandom}>At random</button>
    ${PATTERNS.map(([label, also]) => html`<button @click=${() => lines.choose((line) => also(line, lines.width))}>${label}</button>`)}
  </div>`;
}

/**
 * Draws logarithms of magnitudes [height, width]. Lines that are not measured are covered, those opposite to
 * a measured one half, and a strip below marks measured lines.
 */
export function drawScan(canvas: HTMLCanvasElement, logs: Float32Array, shape: Shape, lines: LineChooser, palette: Palette): void {
  const { width, height } = shape;
  const small = document.createElement('canvas');
  const brightest = logs.reduce((most, v) => Math.max(most, v), -Infinity);
  drawPicture(small, logs, { shape: { ...shape, channels: 1 }, range: [brightest - DECADES, brightest] });
  Object.assign(canvas, { width: width * ZOOM, height: height * ZOOM + STRIP });
  const g = canvas.getContext('2d');
  if (!g) return;
  g.imageSmoothingEnabled = false;
  g.drawImage(small, 0, 0, width * ZOOM, height * ZOOM);
  for (let line = 0; line < width; line += 1) {
    const measured = lines.measured[line] === 1;
    g.globalAlpha = measured ? 1 : lines.isKnown(line) ? 0.5 : 0.86;
    g.fillStyle = measured ? palette.observation : palette.unobserved;
    if (measured) g.fillRect(line * ZOOM + 1, height * ZOOM + 4, ZOOM - 2, STRIP - 4);
    else g.fillRect(line * ZOOM, 0, ZOOM, height * ZOOM);
  }
  g.globalAlpha = 1;
}
