// Numbers as readers expect them: few digits, a real minus sign, no exponent where a decimal will do.

/** Two significant digits, as a decimal from .001 to 10 000. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-3 || size >= 1e4) ? value.toExponential(1) : Number(value.toPrecision(2)).toString();
  return text.replace('-', '−');
}

export const percent = (share: number): string => `${Math.round(100 * share)} %`;
export const count = (n: number): string => n.toLocaleString('en', { useGrouping: true }).replace(/,/g, '\u202f');
