// The package outside the browser: packed, installed in an empty folder, run by Node and by Deno.
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { difference, row, tensors } from './support/golden.mjs'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const checkpoint = here('golden/digits.safetensors')

/** Draws from a path, a file's address, an address of the network and bytes; fails as it should; trains a lap; ends by itself. */
const EXAMPLE = `
import { readFile } from 'node:fs/promises'
import { LiveTraining, hasAdapter, load } from 'diffem'

const [path, address, y, a] = JSON.parse(process.argv[2])
const said = (work) => work.then(() => 'done', (error) => error.message)
const draws = []
for (const source of [path, new URL('file://' + path), address, await readFile(path)]) {
  const posterior = await load(source, { device: 'cpu' })
  draws.push(Array.from(await posterior.samplePosterior(Float32Array.from(y), Float32Array.from(a), { draws: 3, seed: 7 })))
  posterior.close()
}
const posterior = await load(path, { device: 'cpu' })
const stop = new AbortController()
const stopped = await said(posterior.samplePosterior(Float32Array.from(y), Float32Array.from(a), { draws: 64, steps: 10000, signal: stop.signal, onStep: () => stop.abort(new Error('enough')) }))
const wrong = await said(posterior.samplePosterior(new Float32Array(3), undefined))
const missing = await said(load('nothing.safetensors'))
const training = await LiveTraining.create({ data: 'heart', observations: 128, noise: 0.05, laps: 1, steps: 20 }, 0)
const { lap } = await training.lap()
console.log(JSON.stringify({ draws, stopped, wrong, missing, lap, device: posterior.info.device, adapter: typeof (await hasAdapter()) }))
`

describe('packed and installed', () => {
  const folder = mkdtempSync(join(tmpdir(), 'diffem-elsewhere-'))
  const server = createServer((_, response) => createReadStream(checkpoint).pipe(response))
  before(async () => {
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    const packed = execFileSync('npm', ['pack', here('../js'), '--pack-destination', folder, '--silent'], { cwd: folder }).toString().trim()
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
    execFileSync('npm', ['install', '--no-audit', '--no-fund', '--silent', `./${packed}`], { cwd: folder })
    writeFileSync(join(folder, 'example.mjs'), EXAMPLE)
  })
  after(() => {
    server.close()
    rmSync(folder, { recursive: true })
  })

  const deno = here('../node_modules/.bin/deno')
  for (const [name, command, flags] of [['Node', process.execPath, []], ['Deno', deno, ['run', '--quiet', '--no-prompt', '--allow-read', '--allow-net', '--allow-env']]]) {
    test(`${name} makes the draws of the command line`, { timeout: 120_000, skip: !existsSync(command) && `${command} is not installed` }, async () => {
      const seen = tensors('digits-observations.safetensors')
      const input = [checkpoint, `http://127.0.0.1:${server.address().port}/digits.safetensors`, row(seen.y, 0), row(seen.a, 0)]
      const { stdout } = await promisify(execFile)(command, [...flags, 'example.mjs', JSON.stringify(input)], { cwd: folder, maxBuffer: 1 << 24 })
      const { draws, ...said } = JSON.parse(stdout)
      const expected = row(tensors('digits-draws.safetensors').x, 0)
      for (const found of draws) assert.ok(difference(found, expected) < 1e-5, `difference ${difference(found, expected)}`)
      assert.match(said.missing, /^nothing\.safetensors: the file cannot be read: .*(ENOENT|No such file)/)
      delete said.missing
      assert.deepEqual(said, { stopped: 'enough', wrong: 'y: expected 64 numbers, found 3', lap: 1, device: 'cpu', adapter: 'boolean' })
    })
  }

  test('the package has the files that its entries name', () => {
    const { exports } = JSON.parse(readFileSync(join(folder, 'node_modules/diffem/package.json')))
    for (const file of Object.values(exports['.'])) assert.ok(readFileSync(join(folder, 'node_modules/diffem', file)).length)
  })
})
