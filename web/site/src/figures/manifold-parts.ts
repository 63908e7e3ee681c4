// Parts of <diffem-manifold>: its status line, progress bars, legend and choice of coordinates.
import { type TemplateResult, html, nothing } from 'lit';
import { count, short } from '../lib/format';
import type { LiveSession } from '../session/session';

/** One or two sentences about the state of the run. */
export function statusText(s: LiveSession): string {
  const last = s.laps.length - 1;
  switch (s.status) {
    case 'empty':
    case 'loading':
      return 'Loading…';
    case 'recorded':
      return 'This is a recorded run of this program. Press Play to repeat the training in your browser.';
    case 'failed':
      return `The run has stopped: ${s.error}`;
    case 'done':
      return `All ${last} laps are done. ${scores(s)}`;
    default:
      // The text changes once per lap, so that a screen reader is not flooded.
      return last === 0 ? 'The reconstructions shown are those of the start, before the first lap.' : `${last} of ${s.config.laps} laps are done. ${scores(s)}`;
  }
}

function scores(s: LiveSession): string {
  const { divergence, floor } = s.laps.at(-1) ?? {};
  if (divergence === undefined) return '';
  return `The divergence is ${short(divergence)}${floor === undefined ? '' : ` (floor: ${short(floor)})`}.`;
}

/** Which device trains, and why. */
export function engineText(s: LiveSession): string {
  const { engine } = s;
  if (!engine) return '';
  const { race } = engine;
  if (!race) return engine.device === 'webgpu' ? 'It trains on WebGPU.' : `It trains on the CPU${engine.racing ? '; WebGPU may take over, if it is faster' : ''}.`;
  const took = `${race.complete ? '' : 'more than '}${short(race.webgpu)} s`;
  if (engine.device === 'webgpu') return `It trains on WebGPU, which took ${took} for steps that took the CPU ${short(race.cpu)} s.`;
  if (race.winner === 'webgpu') return `It trains on the CPU until WebGPU has caught up, which is faster: ${took} instead of ${short(race.cpu)} s.`;
  return `It trains on the CPU: WebGPU took ${took} for steps that took the CPU ${short(race.cpu)} s.`;
}

/** Progress of the M-step and of the E-step as two bars. */
export function phases(s: LiveSession): TemplateResult {
  const bar = (phase: 'm-step' | 'e-step', name: string, what: string): TemplateResult => {
    const on = s.live?.phase === phase;
    const passed = phase === 'm-step' && s.live?.phase === 'e-step';
    const share = on ? (s.live?.fraction ?? 0) : passed ? 1 : 0;
    const note = phase === 'e-step' && on && s.live?.sigma !== undefined ? `σ = ${short(s.live.sigma)}` : '';
    return html`<label><span><b>${name}</b> ${what} <output>${note}</output></span>
      <progress max="1" .value=${share} style="width:100%" aria-label=${name}></progress></label>`;
  };
  return html`<div>
    ${bar('m-step', 'M-step', 'trains on freshly corrupted reconstructions')}
    ${bar('e-step', 'E-step', 'samples one reconstruction per observation')}
  </div>`;
}

/** Key of the roles in the picture. */
export function legend(s: LiveSession, truth: boolean): TemplateResult {
  const planar = s.data?.d === 2;
  return html`<ul class="legend">
    <li><span class="swatch" style="--c:var(--diffem-posterior)"></span>${count(s.data?.n ?? 0)} reconstructions</li>
    <li><span class="swatch" style="--c:var(--diffem-start)"></span>start</li>
    ${truth ? html`<li><span class="swatch" style="background:none;border:1.5px solid var(--diffem-truth)"></span>truth, never used in training</li>` : nothing}
    ${planar ? html`<li><span class="swatch line" style="--c:var(--diffem-observation)"></span>selected observation</li>` : nothing}
  </ul>`;
}

/** A choice of the two coordinates shown, where signals have more than two. */
export function pairPicker(s: LiveSession, pair: readonly [number, number], choose: (pair: readonly [number, number]) => void): TemplateResult | typeof nothing {
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
