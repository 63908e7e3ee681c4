// All custom elements, registered one a task. Built as one module, diffem-elements.js, for any page.
import { DiffemCorruption } from './figures/corruption';
import { DiffemDraws } from './figures/draws';
import { DiffemPosterior } from './figures/image/posterior';
import { DiffemManifold } from './figures/manifold';
import { DiffemTheory } from './figures/theory';

/** The first holds the run that others show. */
const ELEMENTS = {
  'diffem-manifold': DiffemManifold,
  'diffem-corruption': DiffemCorruption,
  'diffem-posterior': DiffemPosterior,
  'diffem-draws': DiffemDraws,
  'diffem-theory': DiffemTheory,
};

// What stands in the page comes to life as it is registered: all at once would hold the page.
for (const [name, element] of Object.entries(ELEMENTS)) {
  setTimeout(() => customElements.get(name) ?? customElements.define(name, element));
}

export { DiffemCorruption, DiffemDraws, DiffemManifold, DiffemPosterior, DiffemTheory };
