// Cuts from the CPU module what it cannot reach: burn's operations on numbers of 16 and 64 bits, conversions of data, and matrix
// products without SIMD. What a tensor holds is known at run time alone, so that the compiler keeps an operation's code for every
// type; the core has tensors of f32, and comparisons of u8. A function that is cut traps, which the worker reports as it does a
// panic.
//   node trim.mjs MODULE         needs type parameters in symbols: -C symbol-mangling-version=v0
import binaryen from 'binaryen'
import { readFileSync, writeFileSync } from 'node:fs'

// What a function is named and what its body does. The compiler folds functions of the same code into one under any of their
// names, so that a name alone proves nothing: one of a dead type moves numbers of its width, one that stands by itself is long.
const rules = [
  { name: /half::(bfloat|binary16)|\b[iu]16\b|_f16\b/, body: /\.(load16_[su]|store16)\b/ },
  { name: /\b[fiu]64\b|_[fi]64\b/, body: /\b(f64\.|i64\.(load|store) )/ },
  { name: /TensorData>::try_cast_(clone|inplace)|f32::scalar::gemm_basic/, body: /^.{20000}/s },
]
const operations = /burn_flex|macerator|gemm|try_cast/
// An operation of several types, f32 among them: it picks the code for one, some of which is its own.
const ofMany = /f32.*f64|f64.*f32/
const isBurn = (name) => /burn_|macerator|gemm/.test(name) && !name.includes('diffem')

/** Names as the compiler made them, without the hashes of crates. */
const readable = (name) =>
  name.replace(/\\([0-9a-f]{2})/g, (_, code) => String.fromCharCode(parseInt(code, 16))).replace(/\[[0-9a-f]+\]/g, '')

/** Functions in binaryen's text format: Map of name to { body, callers }. */
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

/** The names of those to cut: of a rule, and called by burn alone. */
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
if (cut.length < 100) throw new Error(`${path}: ${cut.length} functions to cut, expected hundreds: have its symbols type parameters?`)
for (const name of cut) binaryen.Function.setBody(module.getFunction(name), module.unreachable())
writeFileSync(path, module.emitBinary())
