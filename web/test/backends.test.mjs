// The WebAssembly modules against the golden file of all backends, one row per quantity. `web/build.sh
// --check` builds the modules; the reports stay in web/test/output for the table of `diffem check-backends`.
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { open } from './support/browser.mjs'

const place = (path) => new URL(path, import.meta.url)
const golden = readFileSync(place('../../tests/golden/backends.safetensors'))

/**
 * The report of module `kind` on a golden file, computed in the page, or `{ failed }` with the message of its
 * error.
 */
function report(page, kind, bytes) {
  return page.evaluate(async ([kind, text]) => {
    const module = await import(`/test/modules/${kind}/diffem_${kind}.js`)
    await module.default()
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0))
    return module.checkBackend(bytes).catch((error) => ({ failed: error.message }))
  }, [kind, bytes.toString('base64')])
}

/** The golden file with one number of tensor `name` changed. */
function perturbed(name, change) {
  const bytes = Buffer.from(golden)
  const length = Number(bytes.readBigUInt64LE(0))
  const [from] = JSON.parse(bytes.subarray(8, 8 + length))[name].data_offsets
  const at = 8 + length + from
  bytes.writeFloatLE(change(bytes.readFloatLE(at)), at)
  return bytes
}

/** The golden file with tensor `name` renamed to `other`, which has the same length. */
function renamed(name, other) {
  const bytes = Buffer.from(golden)
  bytes.write(other, bytes.indexOf(`"${name}"`) + 1)
  return bytes
}

function keep({ backend }, text) {
  const file = place(`output/backends-${backend}.json`)
  mkdirSync(place('output/'), { recursive: true })
  writeFileSync(new URL(`${file}.tmp`), text)
  renameSync(new URL(`${file}.tmp`), file)
}

const beyond = ({ rows }) => rows.filter(({ difference, tolerance }) => difference === null || difference > tolerance)

for (const [kind, backend] of [['cpu', 'wasm-cpu'], ['gpu', 'webgpu']]) {
  const absent = !existsSync(place(`modules/${kind}/diffem_${kind}_bg.wasm`)) && 'not built by web/build.sh --check'
  describe(`${backend} and the golden file`, { skip: absent }, () => {
    let browser
    before(async () => { browser = await open({ gpu: kind === 'gpu', bare: true }) })
    after(() => browser.close())

    test('agree in every quantity', async () => {
      const found = await report(browser.page, kind, golden)
      assert.equal(found.failed, undefined)
      assert.equal(found.backend, backend)
      assert.ok(found.rows.length > 20)
      for (const { quantity, difference, tolerance } of found.rows) {
        console.log(`${backend} ${quantity}: ${difference?.toExponential(1)}, tolerance ${tolerance}`)
      }
      keep(found, JSON.stringify(found))
      assert.deepEqual(beyond(found), [])
    })

    if (kind === 'gpu') return

    test('a changed weight is detected', async () => {
      const found = await report(browser.page, kind, perturbed('mask: weights', (w) => w + 0.01))
      const names = beyond(found).map(({ quantity }) => quantity)
      assert.ok(names.includes('mask: denoiser with gain') && names.every((name) => name.startsWith('mask: ')), `${names}`)
    })

    test('a missing tensor is named', async () => {
      const { failed } = await report(browser.page, kind, renamed('mask: gradient', 'mask: gradienT'))
      assert.equal(failed, 'checkpoint: tensor `mask: gradient` is missing')
    })
  })
}
