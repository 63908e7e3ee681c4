// The page around the figures: keeps their settings in the address, so that a link shows what its sender saw.
import 'katex/dist/katex.min.css';
import './fonts.css';
import './style.css';
import './elements';
import type { PosteriorInfo } from 'diffem';
import { count } from './lib/format';
import { recordState } from './url-state';

document.addEventListener('diffem-state', (event) => {
  recordState(event.target as Element, (event as CustomEvent<Record<string, unknown>>).detail);
});

// The page's words are about the digits; a checkpoint of one's own (`diffem serve`) is introduced by what it says of itself.
document.addEventListener('diffem-load', (event) => {
  const { name, lap, image, parameters } = (event as CustomEvent<PosteriorInfo>).detail;
  const about = document.getElementById('about-pictures');
  if (!about || !image || name === 'digits') return;
  about.textContent = `Nothing above depends on two dimensions. This is the posterior of the run “${name}” after lap ${lap}: pictures of ${image.height} by ${image.width} pixels, ${count(parameters)} weights, trained from corrupted pictures only.`;
});
