// State in the page's address. `data-url="param:attribute ..."` on a figure names the parameters that set its
// attributes. A script in the page copies them in before the figures start, and this module writes them back:
// the "diffem-state" event of a figure names every setting that is not the default.

function bindings(figure: Element): { param: string; attribute: string }[] {
  const pairs = (figure.getAttribute('data-url') ?? '').split(/\s+/).filter(Boolean);
  return pairs.map((pair) => {
    const [param = '', attribute = param] = pair.split(':');
    return { param, attribute };
  });
}

const pending = new Map<Element, Record<string, unknown>>();
let timer: ReturnType<typeof setTimeout> | undefined;

/**
 * Writes `settings` of `figure` into the address after a delay, because browsers limit how often an address
 * may change.
 */
export function recordState(figure: Element, settings: Record<string, unknown>): void {
  pending.set(figure, settings);
  clearTimeout(timer);
  timer = setTimeout(write, 300);
}

function write(): void {
  const url = new URL(location.href);
  for (const [figure, settings] of pending) {
    for (const { param, attribute } of bindings(figure)) {
      if (attribute in settings) url.searchParams.set(param, String(settings[attribute]));
      else url.searchParams.delete(param);
    }
  }
  pending.clear();
  history.replaceState(history.state, '', url);
}
