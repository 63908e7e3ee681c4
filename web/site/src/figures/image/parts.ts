// The controls and the status line of <diffem-posterior>.
import { type TemplateResult, html, nothing } from 'lit';
import { percent, short } from '../../lib/format';
import type { PosteriorModel } from './model';
import type { Painter } from './painter';
import type { DiffemPosterior } from './posterior';

const valueOf = (event: Event): number => Number((event.target as HTMLInputElement).value);

export function statusLine(model: PosteriorModel | undefined, adapter: boolean): TemplateResult | typeof nothing {
  if (!model) return nothing;
  return html`<p class="status ${model.failure ? 'failed' : ''}" part="status">${model.failure || words(model, adapter)}</p>
    <span class="quiet" role="status">${model.failure || (model.busy ? 'Sampling is in progress.' : model.draws ? 'The draws are ready.' : '')}</span>`;
}

const DEVICES = { cpu: 'CPU', webgpu: 'WebGPU' } as const;
const ON = { cpu: 'the CPU', webgpu: 'WebGPU' } as const;

function words(model: PosteriorModel, adapter: boolean): string {
  if (!model.posterior) return model.loaded ? `Loading the trained model: ${percent(model.loaded)}…` : 'Loading the trained model…';
  const p = model.progress;
  if (p) return Number.isFinite(p.sigma) ? `Sampling: step ${p.step} of ${p.steps}, σ = ${short(p.sigma)}. The pictures show the denoiser’s mean for each draw.` : 'Sampling…';
  if (!model.draws) return '';
  if (model.seconds === undefined) return 'Sampling was stopped. The pictures show the denoiser’s mean for each draw.';
  const { device } = model.posterior.info;
  const fellBack = adapter && model.options.device !== 'cpu' && device === 'cpu';
  return `${fellBack ? 'WebGPU does not run in this browser. ' : ''}Sampling took ${short(model.seconds)} s on ${ON[device]}${model.workers > 1 ? `, shared by ${model.workers} workers` : ''}. ${model.hasLines ? 'All draws agree with the measured frequencies, within their noise.' : 'All draws agree with the observed pixels and differ in the hidden ones.'}`;
}

export function exampleControls(figure: DiffemPosterior, model: PosteriorModel): TemplateResult {
  const last = model.examples - 1;
  return html`<div class="fields" part="controls">
      <label><span>Picture <output>${model.example + 1}</output> of ${last + 1}</span>
        <input type="range" name="example" min="0" max=${Math.max(1, last)} .value=${String(model.example)} ?disabled=${last < 1}
          @change=${(e: Event) => void figure.choose(valueOf(e))}></label>
      ${rateControl(figure, model)} ${deviceControl(figure, model)}
    </div>
    <div class="controls">
      <button class="main" ?disabled=${model.busy} @click=${() => figure.again()}>New draws</button>
      <button ?disabled=${!model.busy} @click=${() => { model.stop(); figure.requestUpdate(); }}>Stop</button>
    </div>
    <div class="controls" role="group" aria-label="Pictures of your own">
      <button @click=${(e: Event) => ((e.currentTarget as HTMLElement).nextElementSibling as HTMLElement).click()}
        title="PNG or JPEG; observations as .npz or .safetensors; a checkpoint of diffem export --web. You can also drop or paste a file. It stays on this machine.">Your own picture…</button>
      <input type="file" name="own" hidden accept=".png,.jpg,.jpeg,.npz,.safetensors,image/png,image/jpeg" @change=${figure.files.chosen}>
      ${figure.files.hasPicture ? html`<button aria-pressed=${figure.files.inverted} @click=${figure.files.invert}>Invert</button>` : nothing}
      ${figure.files.hasAny ? html`<button @click=${figure.files.leave}>Back to the page’s</button>` : nothing}
    </div>`;
}

function rateControl(figure: DiffemPosterior, model: PosteriorModel): TemplateResult | typeof nothing {
  if (!model.thins || !figure.painter) return nothing;
  const { mask } = figure.painter;
  const hidden = mask.reduce((n, seen) => n + (seen === 0 ? 1 : 0), 0) / mask.length;
  return html`<label><span>${figure.atRandom ? 'Hidden at random' : 'Hidden by hand'} <output>${percent(hidden)}</output></span>
    <input type="range" name="rate" min="0" max="0.95" step="0.05" .value=${String(hidden)} aria-valuetext=${percent(hidden)}
      @change=${(e: Event) => void figure.thin(valueOf(e))}></label>`;
}

/**
 * A choice of device, where WebGPU is available. It sets `auto`, so that the CPU takes over where WebGPU does
 * not start.
 */
function deviceControl(figure: DiffemPosterior, model: PosteriorModel): TemplateResult | typeof nothing {
  if (!figure.adapter || !model.posterior) return nothing;
  const { device } = model.posterior.info;
  const choose = (e: Event): void => figure.setAttribute('device', (e.target as HTMLSelectElement).value === 'cpu' ? 'cpu' : 'auto');
  return html`<label>Device
    <select name="device" @change=${choose}>
      ${(['cpu', 'webgpu'] as const).map((kind) => html`<option value=${kind} ?selected=${kind === device}>${DEVICES[kind]}</option>`)}
    </select></label>`;
}

export function brushControls(figure: DiffemPosterior, model: PosteriorModel, painter: Painter): TemplateResult {
  if (!model.x) return html`<p class="status">The clean picture is not known, so nothing can be hidden or uncovered.</p>`;
  const after = (work: (event: Event) => void) => (event: Event): void => {
    work(event);
    figure.requestUpdate();
  };
  return html`<div class="controls" part="controls" style="margin-top:.6rem">
    <button aria-pressed=${painter.paint === 0} @click=${after(() => (painter.paint = 0))}>Hide</button>
    <button aria-pressed=${painter.paint === 1} @click=${after(() => (painter.paint = 1))}>Uncover</button>
    <label>Brush
      <input type="range" name="brush" min="1" max=${Math.max(3, Math.round(model.shape.width / 3))} .value=${String(painter.brush)} style="width:6rem"
        @input=${after((e) => (painter.brush = valueOf(e)))}></label>
    <button @click=${() => painter.fill(1)}>Uncover all</button>
    <button @click=${() => painter.fill(0)}>Hide all</button>
  </div>`;
}
