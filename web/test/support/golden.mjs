// Golden files that the command line has written.
import { readFileSync } from 'node:fs'

const place = (name) => new URL(`../golden/${name}`, import.meta.url)

/** The `f32` arrays of a safetensors file: `{ name: { shape, values } }`. */
export function tensors(name) {
  const file = readFileSync(place(name))
  const length = Number(file.readBigUInt64LE(0))
  const header = JSON.parse(file.subarray(8, 8 + length))
  const entries = Object.entries(header).filter(([key]) => key !== '__metadata__')
  return Object.fromEntries(entries.map(([key, { shape, data_offsets: [from, to] }]) => {
    const bytes = file.subarray(8 + length + from, 8 + length + to)
    return [key, { shape, values: Array.from(new Float32Array(Uint8Array.from(bytes).buffer)) }]
  }))
}

/** Row `i` of an array. */
export function row({ shape, values }, i) {
  const length = values.length / shape[0]
  return values.slice(i * length, (i + 1) * length)
}

export function json(name) {
  return JSON.parse(readFileSync(place(name)))
}

/** Largest difference between two arrays, infinite where their lengths differ. */
export function difference(found, expected) {
  if (found.length !== expected.length) return Infinity
  return found.reduce((worst, value, i) => Math.max(worst, Math.abs(value - expected[i])), 0)
}
