// The base class of all figure elements: it gives them their style and life cycle, redraws on demand and does
// no work for a figure that is off screen.
import { LitElement, type TemplateResult, css, html, unsafeCSS } from 'lit';
import { chartStyles } from './chart';
import { onPreferenceChange, onVisibility, supported } from './environment';
import { perFrame } from './frames';
import { type Palette, colorDeclarations, paletteOf, registerColors } from './palette';

registerColors();

export const baseStyles = css`
  :host { ${unsafeCSS(colorDeclarations())}
    display: block; box-sizing: border-box; container-type: inline-size; color: var(--diffem-ink);
    font-family: var(--diffem-font, system-ui, sans-serif); font-size: 0.9rem; line-height: 1.45; }
  :host([hidden]) { display: none; }
  *, *::before, *::after { box-sizing: inherit; }
  .split { display: grid; gap: 1rem 1.5rem; grid-template-columns: minmax(0, 1fr); }
  @container (min-width: 640px) { .split { grid-template-columns: minmax(0, 1.25fr) minmax(0, 1fr); } }
  .side { display: flex; flex-direction: column; gap: 0.9rem; min-width: 0; }
  canvas.plane { display: block; width: 100%; aspect-ratio: 1; background: var(--diffem-panel); border: 1px solid var(--diffem-faint); border-radius: 4px; }
  .charts { display: grid; gap: 1rem 1.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 15rem), 1fr)); }
  .controls { display: flex; flex-wrap: wrap; gap: 0.5rem 0.6rem; align-items: end; }
  .fields { display: grid; gap: 0.6rem 1rem; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); }
  label { display: flex; flex-direction: column; gap: 0.15rem; font-size: 0.82rem; color: var(--diffem-muted); min-width: 0; }
  label.tick { flex-direction: row; align-items: center; gap: 0.4rem; min-height: 2rem; }
  label output { color: var(--diffem-ink); font-variant-numeric: tabular-nums; }
  button, select, input[type='number'] { font: inherit; color: var(--diffem-ink); background: var(--diffem-raised); border: 1px solid var(--diffem-faint);
    border-radius: 4px; padding: 0.35rem 0.7rem; min-height: 2.25rem; min-width: 0; }
  button { cursor: pointer; }
  button:hover:not(:disabled) { border-color: var(--diffem-muted); }
  button:disabled { opacity: 0.5; cursor: default; }
  button.main { background: var(--diffem-accent); border-color: var(--diffem-accent); color: var(--diffem-panel); font-weight: 600; min-width: 5.2rem; }
  button[aria-pressed='true'] { border-color: var(--diffem-accent); box-shadow: inset 0 0 0 1px var(--diffem-accent); }
  input[type='range'] { width: 100%; min-width: 0; margin: 0; min-height: 1.6rem; accent-color: var(--diffem-accent); }
  input[type='checkbox'] { width: 1.05rem; height: 1.05rem; margin: 0; accent-color: var(--diffem-accent); }
  :focus-visible { outline: 2px solid var(--diffem-accent); outline-offset: 2px; }
  .status { margin: 0; font-size: 0.82rem; color: var(--diffem-muted); min-height: 1.3em; font-variant-numeric: tabular-nums; }
  .status.failed { color: var(--diffem-warning); }
  .legend { display: flex; flex-wrap: wrap; gap: 0.1rem 1rem; margin: 0.4rem 0 0; padding: 0; list-style: none; font-size: 0.8rem; color: var(--diffem-muted); }
  .legend li { display: flex; align-items: center; gap: 0.4rem; }
  .swatch { width: 0.6rem; height: 0.6rem; border-radius: 50%; background: var(--c); flex: none; }
  .swatch.line { width: 1.3rem; height: 0; border-radius: 0; background: none; border-top: 2px var(--s, solid) var(--c); }
  .quiet { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
`;

const FIRST = 'diffem-first-picture';

export abstract class FigureElement extends LitElement {
  static override styles = [baseStyles, chartStyles];
  protected visible = false;
  protected readonly supported = supported();
  #undo: (() => void)[] = [];
  #drawn = false;
  #parts: unknown[] = [];
  #drawLater = perFrame(() => this.#drawNow());

  override connectedCallback(): void {
    super.connectedCallback();
    this.#undo = [
      onPreferenceChange(() => this.requestUpdate()),
      onVisibility(this, (visible) => {
        this.visible = visible;
        this.visibilityChanged();
      }),
    ];
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    for (const undo of this.#undo) undo();
  }

  /** Called when the figure enters or leaves the screen. */
  protected visibilityChanged(): void {
    if (this.visible) this.requestUpdate();
  }

  protected get palette(): Palette {
    return paletteOf(this);
  }

  /**
   * The content that the author put inside the element, shown where the figure cannot run or has nothing to
   * show yet.
   */
  protected poster(): TemplateResult {
    return html`<slot part="poster"></slot>`;
  }

  /**
   * Whether any of `parts`, which must be everything that the picture depends on, has changed since the last
   * call.
   */
  protected changed(...parts: unknown[]): boolean {
    const changed = parts.length !== this.#parts.length || parts.some((part, i) => part !== this.#parts[i]);
    this.#parts = parts;
    return changed;
  }

  /** Draws the canvases in their current state; returns false where there is nothing to draw yet. */
  protected paintCanvases(): boolean {
    return false;
  }

  /** Draws the first picture at once and each later one in a frame of its own. */
  protected override updated(): void {
    if (!this.visible) return;
    if (this.#drawn) this.#drawLater();
    else this.#drawNow();
  }

  #drawNow(): void {
    if (!this.visible || !this.isConnected || !this.paintCanvases()) return;
    this.#drawn = true;
    // The tests read this mark to measure how soon the page draws its first picture.
    if (!performance.getEntriesByName(FIRST).length) performance.mark(FIRST);
  }

  /** Dispatches `diffem-NAME` with `detail`; the event leaves the shadow tree. */
  protected announce(name: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(`diffem-${name}`, { detail, bubbles: true, composed: true }));
  }
}
