// Removes from the CPU module what it never reaches: burn's operations on numbers other than f32, on tensors of
// integers and on quantized ones, its products of matrices, its second way to keep gradients, synchronization between machines,
// conversions of data, and kernels without SIMD. The element type of a tensor and the kind of its gradient are known at run
// time only, so the compiler keeps the code of an operation for every one, but the core uses only tensors of f32 and
// comparisons of u8. A removed function traps, and the worker reports this like a panic. What panics would show of burn's
// values is left out of their messages.
//   node trim.mjs MODULE         needs type parameters in symbols: -C symbol-mangling-version=v0
import binaryen from 'binaryen'
import { readFileSync, writeFileSync } from 'node:fs'

// Patterns of the name and of the body of a function to remove. The compiler merges functions with the same
// code under any of their names, so the name alone proves nothing: the body must also move numbers of the
// unused width, or be long.
const rules = [
  { name: /half::(bfloat|binary16)|\b[iu]16\b|_f16\b/, body: /\.(load16_[su]|store16)\b/ },
  { name: /\b[fiu]64\b|_[fi]64\b/, body: /\b(f64\.|i64\.(load|store) )/ },
  { name: /TensorData>::try_cast_(clone|inplace)/, body: /^.{20000}/s },
  { name: /(_typed|zip_\w+|zip3_\w+|slice_write_impl|scatter_update\w*)::<(i8|u8|i32|u32)\b/, body: /^.{2000}/s },
]
const operations = /burn_flex|macerator|gemm|try_cast/
// An operation of several types, f32 among them, that selects the code for one; part of its code serves f32.
const ofMany = /f32.*f64|f64.*f32/

// Families of functions that the core has no use for, whatever their bodies: it multiplies matrices by kernels of its own, makes no
// quantized tensor and none of integers, takes no least values of tensors, and neither writes to them by indices nor
// chooses between two; gradients are kept whole, and one machine trains.
const families = [
  /QTensorOps|QuantizedBytes|tensor::quantization::|ops::quantization::|quantize_/,
  /BalancedCheckpointing/,
  /int_(add|sub|mul|div|remainder|powi|cast|random|arange|into_float|matmul|bitwise)|Scalar>::elem::<[iu](8|16|32)>|TensorData>::(random|full)/,
  /reduce::(min|max|arg)(::|$)|float_(min|max|arg|sort|sign|scatter)(::|$)|min_dim|dim_with_indices|mask_where/,
  /gather_scatter::scatter_(update|min|max|mul|assign)/,
  /distributed::client::ActionMessage/,
  /gemm_(f32|common)::|burn_flex::ops::matmul::|float_matmul/,
  /scalar::Fallback as macerator/,
  /copy_(2d_tiled|inner_contiguous_run)::<([iu](8|16|32|64)|f64|half)/,
  /unary_op_typed::<half|mask_fill|float_cast/,
]
// The same of the core and of what is compiled for its types: live training starts from full covariances, because its signals have few
// coordinates and operators of their own, and its method is that of the paper; parameters are what they are; JSON has
// no strings of bytes.
const ours = [
  /^<burn_core::module::param::reparameterization_dyn::Dyn(Visitor|Mapper|Param)/,
  /^diffem::gaussian::shared::(posteriors|moments)$|^<diffem::gaussian::low_rank::LowRankGaussian>::|^<diffem::gaussian::spectral::SpectralGaussian>::(fit|smooth|sample|posterior)/,
  /^<diffem::method::(ambient::Ambient|em_mmps::EmMmps) as diffem::method::learning::LearningMethod>::(training_batch|denoise_training)$/,
  /MStep<.*>>::matrix_free_loss|^<diffem::em::hidden::HiddenValues>::/,
]
const bytesOfJson = / as serde_core::de::Visitor>::visit_(bytes|byte_buf|borrowed_bytes)::<serde_json/
// What has the same code for every operation is kept under one of the names.
const ofAny = /graph::base::Step>::|drop_in_place/
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

/** Names of the functions to remove: those that match a rule or belong to a family, and that only burn calls. */
function dead(functions) {
  const matches = (name, body) =>
    operations.test(name) && !ofMany.test(name) && rules.some((rule) => rule.name.test(name) && rule.body.test(body))
  const belongs = (name, families) => !ofAny.test(name) && families.some((family) => family.test(name))
  const isBurnAlone = (name, callers) => [name, ...callers].every((n) => isBurn(readable(n)))
  const names = new Set([...functions.keys()].map(readable))
  // Where the compiler has merged it with the reader of text, that one is missing.
  const isOfBytes = (name) => bytesOfJson.test(name) && names.has(name.replace(/visit_\w+(?=::<)/, 'visit_str'))
  const isDead = (name, { body, callers }) =>
    belongs(name, ours) || isOfBytes(name) || ((matches(name, body) || belongs(name, families)) && isBurnAlone(name, callers))
  return [...functions]
    .filter(([name, found]) => isDead(readable(name), found))
    .map(([name]) => name)
}

/** Names of the functions that write burn's values for developers. */
const shown = (functions) => [...functions.keys()].filter((name) => / as core::fmt::Debug>::fmt$/.test(readable(name)) && isBurn(readable(name)))

const path = process.argv[2]
const module = binaryen.readBinary(readFileSync(path))
const { BulkMemory, MutableGlobals, NontrappingFPToInt, SignExt, SIMD128, ReferenceTypes, Multivalue } = binaryen.Features
module.setFeatures(BulkMemory | MutableGlobals | NontrappingFPToInt | SignExt | SIMD128 | ReferenceTypes | Multivalue)
const functions = functionsOf(module)
const cut = dead(functions)
if (cut.length < 100) throw new Error(`${path}: ${cut.length} functions to remove, expected hundreds; build with -C symbol-mangling-version=v0, which keeps type parameters in symbols`)
for (const name of cut) binaryen.Function.setBody(module.getFunction(name), module.unreachable())
// A formatter returns 0 where it succeeds, here with nothing written.
for (const name of shown(functions)) binaryen.Function.setBody(module.getFunction(name), module.i32.const(0))
writeFileSync(path, module.emitBinary())
