// All custom elements, registered. Built as one module, diffem-elements.js, for any page.
import { DiffemCorruption } from './figures/corruption';
import { DiffemDraws } from './figures/draws';
import { DiffemPosterior } from './figures/image/posterior';
import { DiffemManifold } from './figures/manifold';
import { DiffemTheory } from './figures/theory';

const ELEMENTS = {
  'diffem-manifold': DiffemManifold,
  'diffem-posterior': DiffemPosterior,
  'diffem-corruption': DiffemCorruption,
  'diffem-draws': DiffemDraws,
  'diffem-theory': DiffemTheory,
};

for (const [name, element] of Object.entries(ELEMENTS)) {
  if (!customElements.get(name)) customElements.define(name, element);
}

export { DiffemCorruption, DiffemDraws, DiffemManifold, DiffemPosterior, DiffemTheory };
