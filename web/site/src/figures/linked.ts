// A figure that shows the run of a <diffem-manifold> elsewhere in the page, named by its `for` attribute.
import { FigureElement } from '../lib/base';
import { perFrame } from '../lib/frames';
import type { LabSession } from '../session/session';
import { DiffemManifold } from './manifold';

export abstract class LinkedFigure extends FigureElement {
  protected source: DiffemManifold | undefined;
  #changed = perFrame(() => {
    this.sessionChanged();
    // Off screen only what nobody has seen yet is rendered; the rest when it is seen.
    if (this.visible || !this.renderRoot.querySelector('canvas')) this.requestUpdate();
  });

  protected get session(): LabSession | undefined {
    return this.source?.session;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void customElements.whenDefined('diffem-manifold').then(() => this.#link());
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.session?.watch(this, false);
    this.session?.removeEventListener('change', this.#changed);
  }

  #link(): void {
    const root = this.getRootNode() as Document | ShadowRoot;
    const found = root.getElementById?.(this.getAttribute('for') ?? '');
    if (!(found instanceof DiffemManifold)) return;
    this.source = found;
    found.session.addEventListener('change', this.#changed);
    this.#changed();
  }

  protected override visibilityChanged(): void {
    this.session?.watch(this, this.visible);
    super.visibilityChanged();
  }

  /** Told after every change of the run, at most once a frame. */
  protected sessionChanged(): void {}
}
