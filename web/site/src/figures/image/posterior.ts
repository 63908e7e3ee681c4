// <diffem-posterior src=CHECKPOINT>: posterior draws of a picture, given its observed pixels or its measured
// lines of frequencies.
//
// Attributes: src, pictures (file of pictures to choose from), example, lines (measured ones, as text), draws, steps, sampler, seed, device
// (auto | cpu | webgpu). A file that is dropped on the figure, pasted or chosen replaces its pictures, its
// observations or its checkpoint. A new src or device reloads the checkpoint. Events: diffem-load (description of the checkpoint), diffem-sample, diffem-state.
// Parts: canvas, controls, draws, interval, status, poster.
import { type TemplateResult, html, nothing } from 'lit';
import { type SamplerKind, hasAdapter } from 'diffem';
import { debounced } from '../../lib/async';
import { FigureElement, baseStyles } from '../../lib/base';
import { chartStyles } from '../../lib/chart';
import { reducedMotion, whenIdle } from '../../lib/environment';
import { short } from '../../lib/format';
import { perFrame } from '../../lib/frames';
import { cividis } from '../../lib/palette';
import { contents } from '../../files/tensors';
import { centerLines } from './channel';
import { coverage, intervalChart, intervalStyles, valuesAt } from './interval';
import { LineChooser } from './lines';
import { PosteriorModel } from './model';
import { OwnFiles } from './own-files';
import { Painter } from './painter';
import { brushControls, exampleControls, statusLine } from './parts';
import { type Hatching, drawPicture, perPixel, pixelCount } from './pixels';
import { drawScan, scanView } from './scan';
import { pictureStyles } from './styles';

const RELOADING = ['src', 'device'];

export class DiffemPosterior extends FigureElement {
  static override styles = [baseStyles, chartStyles, intervalStyles, pictureStyles];
  static override properties = { pixel: { state: true } };
  static override get observedAttributes(): string[] {
    return [...super.observedAttributes, ...RELOADING];
  }
  declare pixel: number;

  model: PosteriorModel | undefined;
  painter: Painter | undefined;
  /** Measured lines, where the checkpoint observes lines of frequencies. */
  lines: LineChooser | undefined;
  /** The model that is being loaded to replace `model`. */
  coming: PosteriorModel | undefined;
  /** What the reader has brought. */
  readonly files = new OwnFiles({
    model: () => this.model,
    reload: () => this.#reload(),
    chosen: () => this.#chosen(),
    isVisible: () => this.visible,
  });
  /** Whether the mask is random, and not painted by the reader. */
  atRandom = true;
  /** Whether this browser has a WebGPU adapter. */
  adapter = false;
  #ending = new AbortController();
  /** Whether the reader, or the address, has chosen the measured lines. */
  #chose = false;
  /** Number of times that lines were chosen at random. */
  #turn = 0;
  #waiting = false;
  #redraw = perFrame(() => this.requestUpdate());
  #painted = debounced(() => void this.#hide(), 350);

  constructor() {
    super();
    this.pixel = 0;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.addEventListener('dragover', this.files.over);
    this.addEventListener('drop', this.files.dropped);
    document.addEventListener('paste', this.files.pasted);
    if (this.supported && !this.model && this.hasAttribute('src')) void whenIdle().then(() => this.#open());
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    document.removeEventListener('paste', this.files.pasted);
    this.#ending.abort();
    this.#ending = new AbortController();
    this.model?.close();
    this.model = undefined;
  }

  override attributeChangedCallback(name: string, old: string | null, value: string | null): void {
    super.attributeChangedCallback(name, old, value);
    const other = old !== value || (name === 'src' && this.files.checkpoint !== undefined);
    if (!RELOADING.includes(name) || !other || !(this.model ?? this.coming)) return;
    if (name === 'src') this.files.checkpoint = undefined;
    this.#reload();
  }

  #reload(): void {
    this.#ending.abort();
    this.#ending = new AbortController();
    void this.#open();
  }

  /**
   * Loads the checkpoint that the attributes name; the figure keeps its current picture until it is loaded.
   */
  async #open(): Promise<void> {
    const { signal } = this.#ending;
    const model = this.#newModel();
    this.coming = model;
    const [src, pictures] = ['src', 'pictures'].map((name) => this.getAttribute(name));
    const address = (path: string): URL => new URL(path, document.baseURI);
    const { checkpoint } = this.files;
    if (checkpoint) await model.open(await contents(checkpoint), undefined, signal);
    else await model.open(address(src ?? ''), pictures ? address(pictures) : undefined, signal);
    if (signal.aborted) return model.close();
    const example = this.model?.example ?? numberOf(this, 'example') ?? 0;
    this.coming = undefined;
    if (checkpoint && model.failure && this.model?.posterior) {
      this.files.checkpoint = undefined;
      this.model.fail(new Error(`${checkpoint.name}: ${model.failure}`));
      return model.close();
    }
    this.model?.close();
    this.model = model;
    this.requestUpdate();
    if (!model.posterior) return;
    // The browser's first answer may take a while, and the picture does not wait for it.
    void hasAdapter().then((found) => {
      this.adapter = found;
      this.requestUpdate();
    });
    this.painter = new Painter(model.shape, {
      changed: this.#redraw,
      finished: this.#painted,
      moved: (pixel) => (this.pixel = pixel),
    });
    const { width } = model.shape;
    const center = centerLines(model.posterior.info.channel, width);
    this.lines = model.hasLines ? new LineChooser(width, center, { changed: this.#redraw, finished: this.#painted }) : undefined;
    this.announce('load', model.posterior.info);
    this.#chose = false;
    await this.choose(example);
    if (this.lines?.read(this.getAttribute('lines') ?? '')) await this.#hide();
    // The draws differ in hidden pixels only.
    this.pixel = this.painter.cursor = this.painter.nearestHidden();
  }

  #newModel(): PosteriorModel {
    const device = this.getAttribute('device');
    const model = new PosteriorModel({
      draws: numberOf(this, 'draws') ?? 16,
      steps: numberOf(this, 'steps'),
      sampler: (this.getAttribute('sampler') ?? undefined) as SamplerKind | undefined,
      device: device === 'cpu' || device === 'webgpu' ? device : 'auto',
    });
    model.seed = numberOf(this, 'seed') ?? 0;
    model.addEventListener('change', this.#redraw);
    model.addEventListener('sampled', () => this.announce('sample', { example: model.example, seed: model.seed }));
    return model;
  }

  /** Shows an example of the checkpoint and samples it. */
  async choose(example: number): Promise<void> {
    this.#painted.cancel();
    await this.model?.choose(example);
    this.#chosen();
  }

  #chosen(): void {
    this.#adoptMask();
    this.#sample();
    this.#sayState();
  }

  /** Announces the picture and the measured lines where the reader has chosen them. */
  #sayState(): void {
    const { example = 0, own = [] } = this.model ?? {};
    const lines = this.#chose ? this.lines?.text : undefined;
    this.announce('state', { ...(example && !own.length ? { example } : {}), ...(lines === undefined ? {} : { lines }) });
  }

  /** Hides a share `rate` of the pixels at random and samples. */
  async thin(rate: number): Promise<void> {
    // A mask that was painted just before must not come after this one.
    this.#painted.cancel();
    await this.model?.thin(rate);
    this.#adoptMask();
    this.#sample();
  }

  /** Draws again with the next seed. */
  again(): void {
    if (!this.model) return;
    this.model.seed += 1;
    this.#sample();
  }

  /** Measures lines that the channel draws at random, and samples. */
  readonly measureAtRandom = async (): Promise<void> => {
    this.#painted.cancel();
    this.#turn += 1;
    const mask = await this.model?.randomLines(this.#turn);
    if (!mask) return;
    this.lines?.adopt(mask);
    await this.#hide();
  };

  async #hide(): Promise<void> {
    const { model, painter, lines } = this;
    if (!model || !painter) return;
    this.atRandom = false;
    this.#chose = lines !== undefined;
    await model.hide(lines?.mask(model.shape.height) ?? painter.mask);
    this.#sample();
    this.#sayState();
  }

  #adoptMask(): void {
    const a = this.model?.observation?.a;
    if (a) this.lines?.adopt(a);
    const mask = this.model?.mask;
    this.atRandom = true;
    if (!this.painter) return;
    this.painter.known = this.model?.known;
    if (mask) this.painter.mask = mask;
  }

  /** Samples now, or once the figure is on screen. */
  #sample(): void {
    this.#waiting = !this.visible;
    if (this.visible) void this.model?.sample();
  }

  protected override visibilityChanged(): void {
    if (this.visible && this.#waiting) this.#sample();
    else if (!this.visible && this.model?.busy) {
      this.model.stop();
      this.#waiting = true;
    }
    super.visibilityChanged();
  }

  protected override render(): TemplateResult {
    const { model, painter, lines, coming } = this;
    if (!this.supported || !model?.ready || !painter) return html`${this.poster()} ${statusLine(model ?? coming, this.adapter)}`;
    return html`
      <div class="split">
        <div>
          ${lines ? html`${scanView(model, lines, () => void this.measureAtRandom())} ${drawsView(model)}` : html`${this.#paintable(model, painter)} ${brushControls(this, model, painter)}`}
        </div>
        <div class="side">
          ${exampleControls(this, model)}
          <div class="maps ${lines ? 'four' : ''}">
            ${model.x ? this.#map('truth', 'truth') : nothing}
            ${lines ? this.#map('zero', `missing frequencies at 0${score(model, model.zeroFilled)}`) : nothing}
            ${this.#map('mean', `mean of the draws${lines ? score(model, model.moments?.mean) : ''}`)}
            ${this.#map('std', `standard deviation${lines ? average(model.moments?.std) : ''}`)}
          </div>
          ${this.#interval(model, painter)}
        </div>
      </div>
      ${lines ? nothing : drawsView(model)} ${statusLine(coming ?? model, this.adapter)}`;
  }

  #paintable(model: PosteriorModel, painter: Painter): TemplateResult {
    const { width } = model.shape;
    const hidden = painter.mask[this.pixel] === 0;
    const where = `row ${Math.floor(this.pixel / width) + 1}, column ${(this.pixel % width) + 1}, ${hidden ? 'hidden' : 'observed'}`;
    const can = model.x !== undefined;
    return html`<div class="frame">
      <canvas class="pixels paint" part="canvas" tabindex="0" role="application" aria-roledescription="picture to paint on"
        aria-label="Observed picture, ${where}. Arrow keys move, Space paints."
        @pointerdown=${can ? painter.down : nothing} @pointermove=${painter.move} @pointerup=${painter.up} @pointercancel=${painter.up}
        @keydown=${painter.key} @keyup=${painter.keyUp}></canvas>
      ${this.#cursor()}
    </div>`;
  }

  #map(name: string, label: string): TemplateResult {
    const choose = (e: MouseEvent): void => {
      if (this.painter) this.pixel = this.painter.cursor = this.painter.pixelAt(e);
    };
    return html`<figure class="map"><div class="frame"><canvas class="pixels" data-map=${name} role="img" aria-label=${label} @click=${choose}></canvas>${this.#cursor()}</div><figcaption>${label}</figcaption></figure>`;
  }

  /** A box around the selected pixel, at the same place in every picture. */
  #cursor(): TemplateResult {
    const { width, height } = this.model?.shape ?? { width: 1, height: 1 };
    const [x, y] = [this.pixel % width, Math.floor(this.pixel / width)];
    return html`<span class="cursor" style="left:${(100 * x) / width}%;top:${(100 * y) / height}%;width:${100 / width}%;height:${100 / height}%"></span>`;
  }

  #interval(model: PosteriorModel, painter: Painter): TemplateResult | typeof nothing {
    if (!model.draws) return nothing;
    const { width } = model.shape;
    const size = pixelCount(model.shape);
    const inQuestion = (i: number): boolean => model.hasLines || (painter.mask[i % size] === 0 && model.known?.[i % size] !== 0);
    const held = model.x && !model.busy ? coverage(model.draws, model.x, inQuestion) : undefined;
    const n = model.options.draws;
    return html`${intervalChart({
      values: valuesAt(model.draws, model.d, this.pixel),
      truth: model.known?.[this.pixel] === 0 ? undefined : model.x?.[this.pixel],
      hidden: model.hasLines ? undefined : painter.mask[this.pixel] === 0,
      range: model.range,
      where: `Pixel in row ${Math.floor(this.pixel / width) + 1}, column ${(this.pixel % width) + 1}`,
    })}
    <p class="status">${held && held.of ? html`The range of the draws contains the truth in ${Math.round(100 * held.share)} % of ${held.of} ${model.hasLines ? '' : 'hidden '}pixels. Draws from the exact posterior would contain it in ${Math.round((100 * (n - 1)) / (n + 1))} % on average.` : ' '}</p>`;
  }

  protected override paintCanvases(): boolean {
    const { model, painter } = this;
    if (!model?.ready || !painter) return false;
    const { shape, range, x } = model;
    const { unobserved, hatching: stroke } = this.palette;
    const hatching: Hatching = { mask: painter.mask, ground: unobserved, stroke };
    const find = (selector: string): HTMLCanvasElement | null => this.renderRoot.querySelector<HTMLCanvasElement>(selector);
    const put = (selector: string, values: ArrayLike<number> | undefined, more: object = {}): void => {
      const canvas = find(selector);
      if (canvas && values) drawPicture(canvas, values, { shape, range, ...more });
    };
    const scan = find('canvas.scan');
    if (scan && model.spectrum && this.lines) drawScan(scan, model.spectrum, shape, this.lines, this.palette);
    else put('canvas.paint', model.seen, { hatching });
    put('[data-map=truth]', x, model.known ? { hatching: { ...hatching, mask: model.known } } : {});
    put('[data-map=zero]', model.zeroFilled);
    const { draws, d } = model;
    if (!draws || !model.moments || (model.busy && reducedMotion())) return true;
    const { mean, std } = model.moments;
    const spread = perPixel(std, shape);
    const brightest = (range[1] - range[0]) / (model.hasLines ? 8 : 3);
    put('[data-map=mean]', mean);
    put('[data-map=std]', spread, { shape: { ...shape, channels: 1 }, range: [0, brightest], map: cividis });
    for (let k = 0; k < draws.length / d; k += 1) put(`[data-draw="${k}"]`, draws.subarray(k * d, (k + 1) * d));
    return true;
  }
}

function drawsView({ options: { draws }, hasLines }: PosteriorModel): TemplateResult {
  return html`
    <div class="chart-title" style="margin-top:1rem">${draws} draws from the posterior</div>
    <div class="draws ${hasLines ? 'beside' : ''}" part="draws">${Array.from({ length: draws }, (_, k) => html`<canvas class="pixels" data-draw=${k} role="img" aria-label="draw ${k + 1}"></canvas>`)}</div>`;
}

function numberOf(element: Element, attribute: string): number | undefined {
  return element.hasAttribute(attribute) ? Number(element.getAttribute(attribute)) : undefined;
}

/** The peak signal-to-noise ratio of `values` behind a comma, where it is known. */
function score(model: PosteriorModel, values: Float32Array | undefined): string {
  const psnr = values && model.psnr(values);
  return psnr === undefined ? '' : `, ${psnr.toFixed(1)}\u00a0dB`;
}

/** The average of `std` behind a comma. */
function average(std: Float32Array | undefined): string {
  return std ? `, ${short(std.reduce((sum, v) => sum + v, 0) / std.length)} on average` : '';
}
