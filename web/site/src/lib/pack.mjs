// Arrays in a JSON file: 16-bit integers with one scale, base64. Half the bytes of floats and fine to 1/32767 of the
// greatest value, far below a pixel. Plain JavaScript, since the recording script runs it in node.

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

/** @param {{ scale: number, data: string }} packed @returns {Float32Array} */
export function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed.data), (c) => c.charCodeAt(0));
  return Float32Array.from(new Int16Array(bytes.buffer), (v) => (v / 32767) * packed.scale);
}
