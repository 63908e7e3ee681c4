// node web/noise/check.mjs MODULE.wasm: compares the bits of the noise generator in WebAssembly with
// golden.json.
import { readFileSync } from 'node:fs'

const module = new WebAssembly.Module(readFileSync(process.argv[2]))
// The module's libraries import functions of a page, none of which is called here.
const imports = {}
for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
  if (kind !== 'function') throw new Error(`unexpected import of a ${kind}: ${from}.${name}`)
  imports[from] ??= {}
  imports[from][name] = () => { throw new Error(`${from}.${name} was called`) }
}
const { normal, digest } = new WebAssembly.Instance(module, imports).exports

const cases = JSON.parse(readFileSync(new URL('./golden.json', import.meta.url)))
let failed = 0
for (const { seed, step, n, digest: expected, first } of cases) {
  const found = digest(seed, step, n) >>> 0
  const same = found === expected && first.every((value, i) => normal(seed, 3, step, i) === Math.fround(value))
  failed += same ? 0 : 1
  console.log(`seed ${seed}, step ${step}, ${8 * n} normals: ${same ? 'same bits as native' : `digest ${found}, expected ${expected}`}`)
}
console.log(`noise in WebAssembly: ${cases.length - failed} passed, ${failed} failed`)
process.exit(failed === 0 && cases.length > 0 ? 0 : 1)
