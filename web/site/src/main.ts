// The page around the figures. It keeps their settings in its address, so that a link shows what its sender
// saw.
import 'katex/dist/katex.min.css';
import './fonts.css';
import './style.css';
import './elements';
import type { PosteriorInfo } from 'diffem';
import { choosePictures, introduce } from './pictures';
import { follow, recordState } from './url-state';

document.addEventListener('diffem-state', (event) => {
  recordState(event.target as Element, (event as CustomEvent<Record<string, unknown>>).detail);
});

// The page describes the models that it ships; it describes the reader's own checkpoint (`diffem serve`) by
// its metadata.
document.addEventListener('diffem-load', (event) => introduce((event as CustomEvent<PosteriorInfo>).detail, event.target));
choosePictures();
follow();
