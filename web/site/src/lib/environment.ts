// What the browser reports: whether a figure is on screen, whether the reader wants motion, and whether the
// figures can run.

const REDUCED = matchMedia('(prefers-reduced-motion: reduce)');
const DARK = matchMedia('(prefers-color-scheme: dark)');

export const reducedMotion = (): boolean => REDUCED.matches;

/**
 * Calls `redraw` whenever the color scheme or the preference for reduced motion changes; returns a function
 * that ends this.
 */
export function onPreferenceChange(redraw: () => void): () => void {
  for (const query of [REDUCED, DARK]) query.addEventListener('change', redraw);
  return () => {
    for (const query of [REDUCED, DARK]) query.removeEventListener('change', redraw);
  };
}

/**
 * Reports when `element` enters or leaves the screen, with a margin so that work begins a little before;
 * returns a function that ends this.
 */
export function onVisibility(element: Element, report: (visible: boolean) => void): () => void {
  const observer = new IntersectionObserver((entries) => report(entries.some((e) => e.isIntersecting)), { rootMargin: '80px' });
  observer.observe(element);
  return () => observer.disconnect();
}

/**
 * Whether this browser can run the figures. Where it cannot, an element shows the content that its author put
 * inside it.
 */
export const supported = (): boolean => typeof WebAssembly === 'object' && typeof Worker === 'function';

/** Resolves when the main thread is idle. */
export function whenIdle(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof requestIdleCallback === 'function') requestIdleCallback(() => resolve(), { timeout: 500 });
    else setTimeout(resolve, 50);
  });
}
