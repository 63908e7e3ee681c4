// Numbers as readers expect them: few digits, a real minus sign, no exponent where a decimal will do.

const RAISED = '⁰¹²³⁴⁵⁶⁷⁸⁹';

/** Two significant digits, as a decimal from .001 to 10 000, else with a power of ten. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size === 0 || (size >= 1e-3 && size < 1e4)) return Number(value.toPrecision(2)).toString().replace('-', '−');
  const [digits = '', exponent = ''] = value.toExponential(1).replace('.0e', 'e').split('e');
  const power = `10${exponent.replace('+', '').replace('-', '⁻').replace(/\d/g, (d) => RAISED[Number(d)] ?? d)}`;
  return digits === '1' ? power : `${digits.replace('-', '−')}·${power}`;
}

export const percent = (share: number): string => `${Math.round(100 * share)} %`;
/** A whole number with its thousands apart. By hand: a browser's first `toLocaleString` takes tens of milliseconds. */
export const count = (n: number): string => String(n).replace(/\B(?=(\d{3})+$)/g, '\u202f');
