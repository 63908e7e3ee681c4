// Arrays in a JSON file: integers of 12 bits with one scale, two characters of base64 each. Their error is 1/4094 of the
// largest value, a fifth of a pixel. This is plain JavaScript because the recording script runs it in node.

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const LARGEST = 2047;

/** @param {ArrayLike<number>} values @returns {{ scale: number, data: string }} */
export function pack(values) {
  let scale = 0;
  for (let i = 0; i < values.length; i += 1) scale = Math.max(scale, Math.abs(values[i]));
  scale = scale || 1;
  let data = '';
  for (let i = 0; i < values.length; i += 1) {
    const bits = Math.round((values[i] / scale) * LARGEST) + LARGEST + 1;
    data += DIGITS[bits >> 6] + DIGITS[bits & 63];
  }
  return { scale, data };
}

/**
 * Loops over indices because iterators are slower, and the page unpacks its recorded run before the first
 * picture.
 * @param {{ scale: number, data: string }} packed @returns {Float32Array}
 */
export function unpack({ scale, data }) {
  const places = new Uint8Array(128);
  for (let i = 0; i < 64; i += 1) places[DIGITS.charCodeAt(i)] = i;
  const values = new Float32Array(data.length / 2);
  for (let i = 0; i < values.length; i += 1) {
    const bits = (places[data.charCodeAt(2 * i)] << 6) | places[data.charCodeAt(2 * i + 1)];
    values[i] = ((bits - LARGEST - 1) / LARGEST) * scale;
  }
  return values;
}
