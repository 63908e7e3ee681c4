// Colors as CSS custom properties, so that an embedding page can set them, and so that one name serves CSS, SVG and
// canvas. Hues are from Okabe and Ito's palette (distinct for the common kinds of color blindness); no figure tells
// things apart by hue alone: the truth is a line, reconstructions are dots, an observation is a band.

const COLORS = {
  ink: ['#1b1f24', '#e8eaed'],
  muted: ['#5a626b', '#a2aab4'],
  faint: ['#d5d9de', '#3a414a'],
  panel: ['#ffffff', '#15191e'],
  raised: ['#f4f5f7', '#1f252c'],
  start: ['#7c848d', '#8b949e'],
  truth: ['#b84e00', '#f0a03c'],
  cloud: ['#0068a8', '#6cb8ee'],
  rival: ['#9c3f7d', '#e39bc8'],
  band: ['#00785a', '#3ecba0'],
  accent: ['#0068a8', '#6cb8ee'],
  warning: ['#a3332a', '#ff9a8f'],
} as const;

export type ColorName = keyof typeof COLORS;
export type Palette = Record<ColorName, string>;

const NAMES = Object.keys(COLORS) as ColorName[];

/** Registered as colors, the computed value is a plain `rgb(...)` that a canvas takes, `light-dark()` already decided. */
export function registerColors(): void {
  for (const name of NAMES) {
    try {
      CSS.registerProperty({ name: `--diffem-${name}`, syntax: '<color>', inherits: true, initialValue: COLORS[name][0] });
    } catch {
      // Registered before, by another copy of this module in the page: the values are the same.
    }
  }
}

/** Declarations for `:host`; a page overrides one by setting `--diffem-NAME-on` on the element or above it. */
export function colorDeclarations(): string {
  return NAMES.map((n) => `--diffem-${n}: var(--diffem-${n}-on, light-dark(${COLORS[n][0]}, ${COLORS[n][1]}));`).join('\n');
}

/** The colors in force at `element`. */
export function paletteOf(element: Element): Palette {
  const style = getComputedStyle(element);
  return Object.fromEntries(NAMES.map((n) => [n, style.getPropertyValue(`--diffem-${n}`).trim() || COLORS[n][0]])) as Palette;
}
