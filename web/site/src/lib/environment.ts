// What the reader's browser says: is the figure on screen, is motion wanted, are the pieces there.

const REDUCED = matchMedia('(prefers-reduced-motion: reduce)');
const DARK = matchMedia('(prefers-color-scheme: dark)');

export const reducedMotion = (): boolean => REDUCED.matches;

/** Calls `redraw` whenever the color scheme or the wish for less motion changes; returns the way to stop it. */
export function onPreferenceChange(redraw: () => void): () => void {
  for (const query of [REDUCED, DARK]) query.addEventListener('change', redraw);
  return () => {
    for (const query of [REDUCED, DARK]) query.removeEventListener('change', redraw);
  };
}

/** Reports whether `element` is on screen (with a margin, so that work begins a little before it is seen). */
export function onVisibility(element: Element, report: (visible: boolean) => void): () => void {
  const observer = new IntersectionObserver((entries) => report(entries.some((e) => e.isIntersecting)), { rootMargin: '80px' });
  observer.observe(element);
  return () => observer.disconnect();
}

/** Whether this browser can run the figures at all; where not, an element shows what its author put inside it. */
export const supported = (): boolean => typeof WebAssembly === 'object' && typeof Worker === 'function';

/** Resolves when the main thread has nothing better to do. */
export function whenIdle(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof requestIdleCallback === 'function') requestIdleCallback(() => resolve(), { timeout: 500 });
    else setTimeout(resolve, 50);
  });
}
