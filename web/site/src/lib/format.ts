// Numbers for readers: few digits, a real minus sign, and an exponent only where a decimal would be long.

const RAISED = '⁰¹²³⁴⁵⁶⁷⁸⁹';

/** Two significant digits: a decimal between .001 and 10 000, otherwise with a power of ten. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size === 0 || (size >= 1e-3 && size < 1e4)) return Number(value.toPrecision(2)).toString().replace('-', '−');
  const [digits = '', exponent = ''] = value.toExponential(1).replace('.0e', 'e').split('e');
  const power = `10${exponent.replace('+', '').replace('-', '⁻').replace(/\d/g, (d) => RAISED[Number(d)] ?? d)}`;
  return digits === '1' ? power : `${digits.replace('-', '−')}·${power}`;
}

/** A share in percent, with a space that does not break. */
export const percent = (share: number): string => `${Math.round(100 * share)}\u00a0%`;
/**
 * A whole number with separated thousands. The first call of `toLocaleString` takes tens of milliseconds, so
 * it is not used.
 */
export const count = (n: number): string => String(n).replace(/\B(?=(\d{3})+$)/g, '\u202f');
