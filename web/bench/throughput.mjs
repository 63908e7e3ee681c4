// Network evaluations per second of the browser package and of onnxruntime-web (WebAssembly with SIMD, one
// thread), measured alternately in one page with the same weights. The time of the package includes
// everything that a draw needs besides the network: noise, conditioning, the measurement update, and messages
// to and from its worker. onnxruntime-web runs the network alone.
//
//   web/build.sh --cpu-only && npm --prefix web/bench ci && npm --prefix web/bench run bench -- [CHECKPOINT]
//
// CHECKPOINT is an MLP exported by `diffem export --web`, by default the site's digits. Needs python3 with
// onnx and numpy.
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { open } from '../test/support/browser.mjs'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const ROUNDS = 9
const BATCHES = [16, 64, 256]

const checkpoint = process.argv[2] ?? here('../site/public/digits.safetensors')
mkdirSync(here('out'), { recursive: true })
copyFileSync(checkpoint, here('out/checkpoint.safetensors'))
execFileSync('python3', [here('onnx_model.py'), checkpoint, here('out/model.onnx')], { stdio: 'inherit' })

const { page, close } = await open()
try {
  const found = await page.evaluate(race, { rounds: ROUNDS, batches: BATCHES })
  console.log(`largest difference of onnxruntime-web from the network in 64-bit arithmetic: ${found.difference.toExponential(1)}`)
  console.log('batch   diffem, evaluations/s   onnxruntime-web, evaluations/s   ratio')
  for (const { batch, ours, theirs } of found.rows) {
    const cells = [ours, theirs].map((v) => Math.round(v).toString())
    console.log(`${String(batch).padStart(5)} ${cells[0].padStart(23)} ${cells[1].padStart(32)} ${(ours / theirs).toFixed(2).padStart(7)}`)
  }
} finally {
  await close()
}

/** Times both in turn; runs in the page. */
async function race({ rounds, batches }) {
  const ort = await import('/bench/node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs')
  ort.env.wasm.numThreads = 1
  const session = await ort.InferenceSession.create('/bench/out/model.onnx', { executionProviders: ['wasm'] })
  const bytes = await (await fetch('/bench/out/checkpoint.safetensors')).arrayBuffer()
  const { weights, steps } = read(bytes)
  const width = weights['Mlp.hidden.0.linear.weight'].shape[0]
  const input = (n) => new ort.Tensor('float32', Float32Array.from({ length: n * width }, (_, i) => Math.sin(i * i * 0.7)), [n, width])
  const posterior = await window.diffem.load('/bench/out/checkpoint.safetensors', { device: 'cpu' })
  const { y, a } = await posterior.example(0)
  // A draw takes one network call per step and one at the end.
  const calls = steps + 1
  const ours = (draws) => posterior.samplePosterior(y, a, { draws })
  const theirs = async (feed) => { for (let i = 0; i < calls; i++) await session.run({ input: feed }) }
  const seconds = async (work) => {
    const from = performance.now()
    await work()
    return (performance.now() - from) / 1000
  }
  const rows = []
  for (const batch of batches) {
    const feed = input(batch)
    const best = [Infinity, Infinity]
    for (let round = 0; round < rounds; round++) {
      best[0] = Math.min(best[0], await seconds(() => ours(batch)))
      best[1] = Math.min(best[1], await seconds(() => theirs(feed)))
    }
    rows.push({ batch, ours: (batch * calls) / best[0], theirs: (batch * calls) / best[1] })
  }
  return { rows, difference: await check() }

  /** Largest difference of the ONNX output from 64-bit arithmetic with the same weights. */
  async function check() {
    const feed = input(4)
    const { output } = await session.run({ input: feed })
    let worst = 0
    for (let row = 0; row < 4; row++) {
      let h = Array.from(feed.data.slice(row * width, (row + 1) * width))
      for (let i = 0; weights[`Mlp.hidden.${i}.norm.gamma`]; i++) {
        const [gamma, beta] = ['gamma', 'beta'].map((name) => weights[`Mlp.hidden.${i}.norm.${name}`].values)
        const z = affine(h, `Mlp.hidden.${i}.linear`)
        const mean = z.reduce((s, v) => s + v, 0) / z.length
        const variance = z.reduce((s, v) => s + (v - mean) ** 2, 0) / z.length
        h = z.map((v, j) => ((v - mean) / Math.sqrt(variance + 1e-5)) * gamma[j] + beta[j]).map((v) => v / (1 + Math.exp(-v)))
      }
      const expected = affine(h, 'Mlp.output')
      expected.forEach((v, j) => (worst = Math.max(worst, Math.abs(v - output.data[row * expected.length + j]))))
    }
    return worst
  }

  function affine(h, name) {
    const { shape: [rows, columns], values } = weights[`${name}.weight`]
    const out = Array.from(weights[`${name}.bias`].values)
    for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j] += h[i] * values[i * columns + j]
    return out
  }

  function read(bytes) {
    const length = Number(new DataView(bytes).getBigUint64(0, true))
    const { __metadata__, ...header } = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 8, length)))
    const values = (dtype, [from, to]) => {
      const part = bytes.slice(8 + length + from, 8 + length + to)
      return dtype === 'F16' ? Array.from(new Uint16Array(part), half) : new Float32Array(part)
    }
    const entries = Object.entries(header).filter(([name]) => name.startsWith('Mlp.'))
    const weights = Object.fromEntries(entries.map(([name, e]) => [name, { shape: e.shape, values: values(e.dtype, e.data_offsets) }]))
    return { weights, steps: JSON.parse(__metadata__.diffem).recipe.sampler.steps }
  }

  /** Value of a 16-bit float. */
  function half(bits) {
    const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023]
    if (exponent === 0) return sign * fraction * 2 ** -24
    return exponent === 31 ? (fraction ? NaN : sign * Infinity) : sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
  }
}
