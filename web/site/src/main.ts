// The page around the figures: keeps their settings in the address, so that a link shows what its sender saw.
import 'katex/dist/katex.min.css';
import './fonts.css';
import './style.css';
import './elements';
import type { PosteriorInfo } from 'diffem';
import { choosePictures, introduce } from './pictures';
import { recordState } from './url-state';

document.addEventListener('diffem-state', (event) => {
  recordState(event.target as Element, (event as CustomEvent<Record<string, unknown>>).detail);
});

// The page introduces the models that it ships, and a checkpoint of one's own (`diffem serve`) by what it says of itself.
document.addEventListener('diffem-load', (event) => introduce((event as CustomEvent<PosteriorInfo>).detail));
choosePictures();
