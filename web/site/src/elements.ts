// All custom elements. The build makes one module of them, diffem-elements.js, for use in any page.
import { DiffemCorruption } from './figures/corruption';
import { DiffemDraws } from './figures/draws';
import { DiffemPosterior } from './figures/image/posterior';
import { DiffemManifold } from './figures/manifold';
import { DiffemOpening } from './figures/opening';
import { DiffemTheory } from './figures/theory';

/** The first element holds the run that the others show. */
const ELEMENTS = {
  'diffem-manifold': DiffemManifold,
  'diffem-opening': DiffemOpening,
  'diffem-corruption': DiffemCorruption,
  'diffem-posterior': DiffemPosterior,
  'diffem-draws': DiffemDraws,
  'diffem-theory': DiffemTheory,
};

// Registering an element starts those in the page. Each is registered in a task of its own, so that the page
// is not blocked.
for (const [name, element] of Object.entries(ELEMENTS)) {
  setTimeout(() => customElements.get(name) ?? customElements.define(name, element));
}

export { DiffemCorruption, DiffemDraws, DiffemManifold, DiffemOpening, DiffemPosterior, DiffemTheory };
