// Layout of the pictures of <diffem-posterior>. The cursor is white inside black, to be visible on every
// picture.
import { css } from 'lit';

export const pictureStyles = css`
  .frame { position: relative; line-height: 0; }
  canvas.pixels { width: 100%; height: auto; aspect-ratio: auto; image-rendering: pixelated; border: 1px solid var(--diffem-faint); border-radius: 2px; background: var(--diffem-raised); }
  canvas.paint { cursor: crosshair; touch-action: none; image-rendering: auto; }
  canvas.scan { touch-action: pan-y; }
  canvas.scan:not(:focus-visible) + .cursor { display: none; }
  .split > div:first-child > .frame { max-width: 27rem; }
  @container (max-width: 520px) { .split > div:first-child > .frame { max-width: 17rem; } }
  .cursor { position: absolute; pointer-events: none; box-shadow: 0 0 0 1.5px #fff, 0 0 0 3px #000; min-width: 3px; min-height: 3px; }
  .maps { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 0.6rem; }
  .maps.four { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  @container (min-width: 360px) and (max-width: 639px) { .maps.four { grid-template-columns: repeat(4, minmax(0, 1fr)); } }
  .map { margin: 0; }
  .map figcaption { font-size: 0.78rem; color: var(--diffem-muted); margin-top: 0.2rem; }
  .draws { display: grid; grid-template-columns: repeat(8, minmax(0, 1fr)); gap: 0.4rem; margin-block: 0.3rem 0.5rem; }
  .draws.beside { grid-template-columns: repeat(4, minmax(0, 1fr)); }
  @container (max-width: 520px) { .draws { grid-template-columns: repeat(4, minmax(0, 1fr)); } }
`;
