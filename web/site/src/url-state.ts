// State in the page's address. `data-url="param:attribute ..."` on a figure names the parameters that set its
// attributes; a parameter that begins with # is kept behind the address's #, for what is long. A script in the
// page copies them in before the figures start, and this module writes them back: the "diffem-state" event of a figure names
// every setting that is not the default.

function bindings(figure: Element): { param: string; attribute: string }[] {
  const pairs = (figure.getAttribute('data-url') ?? '').split(/\s+/).filter(Boolean);
  return pairs.map((pair) => {
    const [param = '', attribute = param] = pair.split(':');
    return { param, attribute };
  });
}

const pending = new Map<Element, Record<string, unknown>>();
let timer: ReturnType<typeof setTimeout> | undefined;
/** What the address has behind its # where this page wrote or read it. */
let shown = location.hash;

/**
 * Writes `settings` of `figure` into the address after a delay, because browsers limit how often an address
 * may change.
 */
export function recordState(figure: Element, settings: Record<string, unknown>): void {
  pending.set(figure, settings);
  clearTimeout(timer);
  timer = setTimeout(write, 300);
}

/** The part of an address behind its #, with `param` alone or without it; other places in the page keep theirs. */
function fragment(hash: string, param: string, value: unknown): string {
  if (value !== undefined) return `${param}=${String(value)}`;
  return hash.startsWith(`${param}=`) ? '' : hash;
}

function write(): void {
  const url = new URL(location.href);
  for (const [figure, settings] of pending) {
    for (const { param, attribute } of bindings(figure)) {
      if (param.startsWith('#')) url.hash = fragment(url.hash, param, settings[attribute]);
      else if (attribute in settings) url.searchParams.set(param, String(settings[attribute]));
      else url.searchParams.delete(param);
    }
  }
  pending.clear();
  history.replaceState(history.state, '', url);
  shown = url.hash;
}

/**
 * Shows the figure whose state the address holds behind its #, and starts the page anew when such an address
 * is put in place of another.
 */
export function follow(): void {
  const named = (hash: string): Element | undefined =>
    [...document.querySelectorAll('[data-url]')].find((figure) => bindings(figure).some(({ param }) => param.startsWith('#') && hash.startsWith(`${param}=`)));
  const figure = named(location.hash);
  if (figure) bringIntoView(figure);
  addEventListener('hashchange', () => {
    if (named(location.hash) && location.hash !== shown) location.reload();
  });
}

/** Keeps `figure` at the top while the figures above it take their size, until the reader moves or three seconds are over. */
function bringIntoView(figure: Element): void {
  const moves = new ResizeObserver(() => figure.scrollIntoView({ behavior: 'instant' }));
  const stop = (): void => moves.disconnect();
  for (const event of ['wheel', 'touchmove', 'keydown', 'pointerdown']) addEventListener(event, stop, { once: true, passive: true });
  setTimeout(stop, 3000);
  moves.observe(document.body);
}
