// Controls and the status line of <diffem-posterior>.
import { type TemplateResult, html, nothing } from 'lit';
import { percent, short } from '../../lib/format';
import type { PosteriorModel } from './model';
import type { Painter } from './painter';
import type { DiffemPosterior } from './posterior';

const valueOf = (event: Event): number => Number((event.target as HTMLInputElement).value);

export function statusLine(model: PosteriorModel): TemplateResult {
  return html`<p class="status ${model.failure ? 'failed' : ''}" part="status">${model.failure || words(model)}</p>
    <span class="quiet" role="status">${model.failure || (model.busy ? 'Sampling' : model.draws ? 'Draws are ready' : '')}</span>`;
}

function words(model: PosteriorModel): string {
  if (!model.posterior) return model.loaded ? `Loading the trained model, ${percent(model.loaded)}…` : 'Loading the trained model…';
  const p = model.progress;
  if (p) return Number.isFinite(p.sigma) ? `Sampling: step ${p.step} of ${p.steps}, σ = ${short(p.sigma)}. What is shown is the mean of what each draw may become.` : 'Sampling…';
  return model.draws ? 'Done. Each picture agrees with what was seen, and differs where nothing was.' : '';
}

export function exampleControls(figure: DiffemPosterior, model: PosteriorModel): TemplateResult {
  const last = (model.posterior?.info.examples ?? 1) - 1;
  return html`<div class="fields" part="controls">
      <label><span>Picture <output>${model.example + 1}</output> of ${last + 1}</span>
        <input type="range" name="example" min="0" max=${Math.max(1, last)} .value=${String(model.example)} ?disabled=${last < 1}
          @change=${(e: Event) => void figure.choose(valueOf(e))}></label>
      ${rateControl(figure, model)}
    </div>
    <div class="controls">
      <button class="main" ?disabled=${model.busy} @click=${() => figure.again()}>New draws</button>
      <button ?disabled=${!model.busy} @click=${() => { model.stop(); figure.requestUpdate(); }}>Stop</button>
    </div>`;
}

function rateControl(figure: DiffemPosterior, model: PosteriorModel): TemplateResult | typeof nothing {
  if (model.rate === undefined || !model.x) return nothing;
  const rate = figure.rate ?? model.rate;
  return html`<label><span>Hidden at random <output>${figure.rate === undefined ? 'painted' : percent(rate)}</output></span>
    <input type="range" name="rate" min="0" max="0.95" step="0.05" .value=${String(rate)} aria-valuetext=${percent(rate)}
      @change=${(e: Event) => void figure.thin(valueOf(e))}></label>`;
}

export function brushControls(figure: DiffemPosterior, model: PosteriorModel, painter: Painter): TemplateResult {
  if (!model.x) return html`<p class="status">This bundle carries no clean picture to paint on.</p>`;
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
