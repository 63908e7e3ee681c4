// Pieces of <diffem-manifold> that say in words and bars where the run stands.
import { type TemplateResult, html, nothing } from 'lit';
import { count, short } from '../lib/format';
import type { LabSession } from '../session/session';

export function statusText(s: LabSession): string {
  const last = s.laps.length - 1;
  switch (s.status) {
    case 'empty':
    case 'loading':
      return 'Loading…';
    case 'recorded':
      return 'A recorded run of this program. Play trains it anew, here in your browser.';
    case 'failed':
      return `The run stopped: ${s.error}`;
    case 'done':
      return `All ${last} laps done. ${scores(s)}`;
    default:
      // Said once a lap, so that a screen reader is not flooded.
      return last === 0 ? 'Lap 0: the start.' : `${last} of ${s.config.laps} laps done. ${scores(s)}`;
  }
}

function scores(s: LabSession): string {
  const { divergence, floor } = s.laps.at(-1) ?? {};
  if (divergence === undefined) return '';
  return `Divergence ${short(divergence)}${floor === undefined ? '' : ` (floor ${short(floor)})`}.`;
}

/** What the run is doing now, as two bars. */
export function phases(s: LabSession): TemplateResult {
  const bar = (phase: 'm-step' | 'e-step', name: string, what: string): TemplateResult => {
    const on = s.live?.phase === phase;
    const passed = phase === 'm-step' && s.live?.phase === 'e-step';
    const share = on ? (s.live?.fraction ?? 0) : passed ? 1 : 0;
    const note = phase === 'e-step' && on && s.live?.sigma !== undefined ? `σ = ${short(s.live.sigma)}` : '';
    return html`<label><span><b>${name}</b> ${what} <output>${note}</output></span>
      <progress max="1" .value=${share} style="width:100%" aria-label=${name}></progress></label>`;
  };
  return html`<div>
    ${bar('m-step', 'M-step', 'train on reconstructions, corrupted afresh')}
    ${bar('e-step', 'E-step', 'sample a reconstruction for every observation')}
  </div>`;
}

export function legend(s: LabSession, truth: boolean): TemplateResult {
  const planar = s.data?.d === 2;
  return html`<ul class="legend">
    <li><span class="swatch" style="--c:var(--diffem-cloud)"></span>${count(s.data?.n ?? 0)} reconstructions</li>
    <li><span class="swatch" style="--c:var(--diffem-start)"></span>start</li>
    ${truth ? html`<li><span class="swatch" style="background:none;border:1.5px solid var(--diffem-truth)"></span>truth, never used in training</li>` : nothing}
    ${planar ? html`<li><span class="swatch line" style="--c:var(--diffem-band)"></span>the selected observation</li>` : nothing}
  </ul>`;
}

/** Which two coordinates to look at, where there are more. */
export function pairPicker(s: LabSession, pair: readonly [number, number], choose: (pair: readonly [number, number]) => void): TemplateResult | typeof nothing {
  const d = s.data?.d ?? 2;
  if (d <= 2) return nothing;
  const pairs = Array.from({ length: d }, (_, i) => Array.from({ length: d - i - 1 }, (_, k) => [i, i + k + 1] as const)).flat();
  const changed = (event: Event): void => {
    const chosen = pairs[(event.target as HTMLSelectElement).selectedIndex];
    if (chosen) choose(chosen);
  };
  return html`<label>Coordinates shown
    <select name="pair" @change=${changed}>
      ${pairs.map((p) => html`<option ?selected=${p[0] === pair[0] && p[1] === pair[1]}>x${p[0] + 1} and x${p[1] + 1}</option>`)}
    </select></label>`;
}
