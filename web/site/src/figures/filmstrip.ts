// Laps at a glance: a row of thumbnails at laps 0, 1, 2, 4, ..., each a button that shows its lap.
import { type TemplateResult, css, html } from 'lit';
import { Plane } from '../lib/canvas';
import type { Palette } from '../lib/palette';
import type { LiveSession } from '../session/session';

/** Points per thumbnail; more would only blur it. */
const POINTS = 700;
const MAX_FRAMES = 7;

/** Laps 0, 1, 2, 4, ..., and the last lap planned. */
function frames(s: LiveSession): number[] {
  const doubling = [0, ...Array.from({ length: MAX_FRAMES }, (_, k) => 2 ** k)].filter((lap) => lap < s.config.laps);
  return [...doubling.slice(0, MAX_FRAMES - 1), s.config.laps];
}

export function filmstrip(s: LiveSession): TemplateResult {
  const last = s.laps.length - 1;
  const shown = s.shownLap ?? last;
  const frame = (lap: number): TemplateResult => html`
    <button class="frame-of-lap" ?disabled=${lap > last} aria-pressed=${lap === shown} aria-label=${lap === 0 ? 'Show the start' : `Show lap ${lap}`}
      @click=${() => s.scrub(lap >= last ? undefined : lap)}><canvas data-lap=${lap}></canvas><span>${lap === 0 ? 'start' : lap}</span></button>`;
  return html`<div class="strip" role="group" aria-label="Laps at a glance">${frames(s).map(frame)}</div>`;
}

const drawn = new WeakMap<HTMLCanvasElement, { cloud: Float32Array | undefined; key: string }>();

/** Draws the first thumbnail that has changed; returns whether there was one. */
export function drawFilmstrip(root: ParentNode, s: LiveSession, pair: readonly [number, number], colors: Palette): boolean {
  for (const canvas of root.querySelectorAll<HTMLCanvasElement>('canvas[data-lap]')) {
    const lap = Number(canvas.dataset['lap']);
    const cloud = s.laps[lap]?.cloud;
    const key = [pair, colors.posterior, canvas.clientWidth].join();
    const before = drawn.get(canvas);
    if (before && before.cloud === cloud && before.key === key) continue;
    drawn.set(canvas, { cloud, key });
    const plane = new Plane(canvas, 2.7);
    plane.begin();
    const d = s.data?.d ?? 2;
    if (cloud) plane.dots(cloud.subarray(0, POINTS * d), d, pair, lap === 0 ? colors.start : colors.posterior, 1.2, 0.8);
    return true;
  }
  return false;
}

export const filmstripStyles = css`
  .strip { display: grid; grid-auto-flow: column; grid-auto-columns: minmax(0, 1fr); gap: 0.3rem; margin-top: 0.5rem; }
  .frame-of-lap { padding: 0; min-height: 0; background: var(--diffem-panel); display: flex; flex-direction: column; align-items: stretch; overflow: hidden; }
  .frame-of-lap canvas { display: block; width: 100%; aspect-ratio: 1; }
  .frame-of-lap span { font-size: 0.75rem; line-height: 1.5; color: var(--diffem-muted); }
  .frame-of-lap:disabled { opacity: 1; border-style: dashed; }
`;
