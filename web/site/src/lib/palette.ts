// The one place that gives a color to a role. Every role is a CSS custom property, so that one name serves
// CSS, SVG and canvas and an embedding page can override it.
//
// The hues are those of the palette of Okabe and Ito, which readers with the common kinds of color blindness
// can tell apart, and a role has the same color here as in the figures of the command line. No figure relies
// on hue alone: the truth is drawn as rings, reconstructions as dots, a contender as squares and an
// observation as a band.

/** Light and dark variant of each role. */
const COLORS = {
  // Page: text, secondary text, rules, background of figures, background of controls, marked controls,
  // failures.
  ink: ['#1b1f24', '#e8eaed'],
  muted: ['#5a626b', '#a2aab4'],
  faint: ['#d5d9de', '#3a414a'],
  panel: ['#ffffff', '#15191e'],
  raised: ['#f4f5f7', '#1f252c'],
  accent: ['#0072b2', '#56b4e9'],
  warning: ['#a3332a', '#ff9a8f'],
  // Data. The dark variants of gray and blue are lighter, because #5f5f5f and #0072b2 have a contrast of only
  // 2.8 and 3.4 with the dark panel; all other hues have at least 4.5 there and stay as they are.
  /** Clean signals. */
  truth: ['#e69f00', '#e69f00'],
  /** Score of clean signals against clean signals. */
  floor: ['#e69f00', '#e69f00'],
  /** The initial prior and its reconstructions. */
  start: ['#5f5f5f', '#a6a6a6'],
  /** Reconstructions and posterior draws of the trained model. */
  posterior: ['#0072b2', '#56b4e9'],
  /** An observation, with its noise. */
  observation: ['#009e73', '#009e73'],
  /** Draws of the method that the trained model is compared with. */
  contender: ['#d55e00', '#d55e00'],
  /** A mean over laps. */
  mean: ['#d55e00', '#d55e00'],
  /** An upper bound from theory. */
  bound: ['#cc79a7', '#cc79a7'],
  /** Unobserved pixels: ground and hatching, neither of which is a gray of the picture. */
  unobserved: ['#dfe8f0', '#2b3a4a'],
  hatching: ['#8aa0b5', '#5d7590'],
} as const;

export type ColorName = keyof typeof COLORS;
export type Palette = Record<ColorName, string>;

const NAMES = Object.keys(COLORS) as ColorName[];

/** A color map: takes a value in [0, 1] to red, green and blue in [0, 255]. */
export type ColorMap = (value: number) => readonly [number, number, number];

/**
 * Stops of cividis (Nuñez, Anderton and Renslow 2018), which is perceptually uniform and safe for color-blind
 * readers.
 */
const CIVIDIS = [
  [0, 34, 78],
  [53, 69, 108],
  [102, 105, 112],
  [148, 142, 119],
  [200, 184, 102],
  [254, 232, 56],
] as const;

/** Color map of maps of standard deviations; values outside [0, 1] are clamped. */
export const cividis: ColorMap = (value) => {
  const at = Math.max(0, Math.min(1, value)) * (CIVIDIS.length - 1);
  const k = Math.min(CIVIDIS.length - 2, Math.floor(at));
  const [a, b] = [CIVIDIS[k] ?? CIVIDIS[0], CIVIDIS[k + 1] ?? CIVIDIS[0]];
  const mix = (i: 0 | 1 | 2): number => a[i] + (at - k) * (b[i] - a[i]);
  return [mix(0), mix(1), mix(2)];
};

/** Registers every role as a color, so that its computed value is an `rgb(...)` that a canvas accepts. */
export function registerColors(): void {
  for (const name of NAMES) {
    try {
      CSS.registerProperty({ name: `--diffem-${name}`, syntax: '<color>', inherits: true, initialValue: COLORS[name][0] });
    } catch {
      // Another copy of this module in the page has registered the same values.
    }
  }
}

/**
 * Declarations for `:host`. A page overrides a role by setting `--diffem-NAME-on` on the element or above it.
 */
export function colorDeclarations(): string {
  return NAMES.map((n) => `--diffem-${n}: var(--diffem-${n}-on, light-dark(${COLORS[n][0]}, ${COLORS[n][1]}));`).join('\n');
}

/** The colors in force at `element`. */
export function paletteOf(element: Element): Palette {
  const style = getComputedStyle(element);
  return Object.fromEntries(NAMES.map((n) => [n, style.getPropertyValue(`--diffem-${n}`).trim() || COLORS[n][0]])) as Palette;
}
