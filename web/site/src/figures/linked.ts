// A figure that shows the run of a <diffem-manifold> elsewhere in the page, whose id is its `for` attribute.
import { FigureElement } from '../lib/base';
import { perFrame } from '../lib/frames';
import type { LiveSession } from '../session/session';
import { DiffemManifold } from './manifold';

export abstract class LinkedFigure extends FigureElement {
  protected source: DiffemManifold | undefined;
  #changed = perFrame(() => {
    this.sessionChanged();
    // Off screen, only a figure that has never been rendered is rendered; the others wait until they are
    // visible.
    if (this.visible || !this.renderRoot.querySelector('canvas')) this.requestUpdate();
  });

  protected get session(): LiveSession | undefined {
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

  /** Called after changes of the run, at most once per frame. */
  protected sessionChanged(): void {}
}
