// The page around the figures: keeps their settings in the address, so that a link shows what its sender saw.
import 'katex/dist/katex.min.css';
import './fonts.css';
import './style.css';
import './elements';
import { recordState } from './url-state';

document.addEventListener('diffem-state', (event) => {
  recordState(event.target as Element, (event as CustomEvent<Record<string, unknown>>).detail);
});
