// Arrays in a JSON file: 16-bit integers with one scale, in base64. They take half the bytes of floats, and
// their error is 1/32767 of the largest value, far below a pixel. This is plain JavaScript because the
// recording script runs it in node.

/** @param {ArrayLike<number>} values @returns {{ scale: number, data: string }} */
export function pack(values) {
  let scale = 0;
  for (let i = 0; i < values.length; i += 1) scale = Math.max(scale, Math.abs(values[i]));
  scale = scale || 1;
  const ints = Int16Array.from(values, (v) => Math.round((v / scale) * 32767));
  const bytes = new Uint8Array(ints.buffer);
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return { scale, data: btoa(binary) };
}

/**
 * Loops over indices because iterators are slower, and the page unpacks its recorded run before the first
 * picture.
 * @param {{ scale: number, data: string }} packed @returns {Float32Array}
 */
export function unpack(packed) {
  const binary = atob(packed.data);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = binary.charCodeAt(i);
  const ints = new Int16Array(bytes.buffer);
  const values = new Float32Array(ints.length);
  for (let i = 0; i < values.length; i += 1) values[i] = (ints[i] / 32767) * packed.scale;
  return values;
}
