// Removes from the CPU module what it never reaches: burn's operations on numbers of 16 and 64 bits,
// conversions of data, and matrix products without SIMD. The element type of a tensor is known at run time
// only, so the compiler keeps the code of an operation for every type, but the core uses only tensors of f32
// and comparisons of u8. A removed function traps, and the worker reports this like a panic.
//   node trim.mjs MODULE         needs type parameters in symbols: -C symbol-mangling-version=v0
import binaryen from 'binaryen'
import { readFileSync, writeFileSync } from 'node:fs'

// Patterns of the name and of the body of a function to remove. The compiler merges functions with the same
// code under any of their names, so the name alone proves nothing: the body must also move numbers of the
// unused width, or be long.
const rules = [
  { name: /half::(bfloat|binary16)|\b[iu]16\b|_f16\b/, body: /\.(load16_[su]|store16)\b/ },
  { name: /\b[fiu]64\b|_[fi]64\b/, body: /\b(f64\.|i64\.(load|store) )/ },
  { name: /TensorData>::try_cast_(clone|inplace)|f32::scalar::gemm_basic/, body: /^.{20000}/s },
]
const operations = /burn_flex|macerator|gemm|try_cast/
// An operation of several types, f32 among them, that selects the code for one; part of its code serves f32.
const ofMany = /f32.*f64|f64.*f32/
// The core's own linear algebra is in f64, and its products have names like those of burn's.
const isOurs = (name) => /diffem|nalgebra|matrixmultiply/.test(name)
const isBurn = (name) => /burn_|macerator|gemm/.test(name) && !isOurs(name)

/** The name without escapes and without the hashes of crates. */
const readable = (name) =>
  name.replace(/\\([0-9a-f]{2})/g, (_, code) => String.fromCharCode(parseInt(code, 16))).replace(/\[[0-9a-f]+\]/g, '')

/** All functions as a Map from name to { body, callers }, with bodies in binaryen's text format. */
function functionsOf(module) {
  const functions = new Map()
  for (const body of module.emitText().split('\n (func $').slice(1)) {
    functions.set(/^\S+/.exec(body)[0], { body, callers: [] })
  }
  for (const [caller, { body }] of functions) {
    for (const [, callee] of body.matchAll(/\bcall \$([^\s)]+)/g)) functions.get(callee)?.callers.push(caller)
  }
  return functions
}

/** Names of the functions to remove: those that match a rule and that only burn calls. */
function dead(functions) {
  const isDead = (name, body) =>
    operations.test(name) && !ofMany.test(name) && rules.some((rule) => rule.name.test(name) && rule.body.test(body))
  return [...functions]
    .filter(([name, { body, callers }]) => isDead(readable(name), body) && [name, ...callers].every(isBurn))
    .map(([name]) => name)
}

const path = process.argv[2]
const module = binaryen.readBinary(readFileSync(path))
const { BulkMemory, MutableGlobals, NontrappingFPToInt, SignExt, SIMD128, ReferenceTypes, Multivalue } = binaryen.Features
module.setFeatures(BulkMemory | MutableGlobals | NontrappingFPToInt | SignExt | SIMD128 | ReferenceTypes | Multivalue)
const cut = dead(functionsOf(module))
if (cut.length < 100) throw new Error(`${path}: ${cut.length} functions to remove, expected hundreds; build with -C symbol-mangling-version=v0, which keeps type parameters in symbols`)
for (const name of cut) binaryen.Function.setBody(module.getFunction(name), module.unreachable())
writeFileSync(path, module.emitBinary())
