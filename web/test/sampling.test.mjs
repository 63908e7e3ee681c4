// Posterior sampling in the browser against draws of the command line, on the CPU and on WebGPU.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { open, withoutGpu } from './support/browser.mjs'
import { difference, row, tensors } from './support/golden.mjs'

// Draws lie in [-2, 2], and sums of f32 are added in another order than natively, twelve network calls deep.
const TOLERANCE = { cpu: 1e-5, webgpu: 1e-4 }

/** Draws in the page from the posterior of observation `index` of a golden file. */
function draw(page, name, index, options = {}, device = 'cpu') {
  const observations = tensors(`${name}-observations.safetensors`)
  const [y, a] = [row(observations.y, index), observations.a && row(observations.a, index)]
  return page.evaluate(async ([name, y, a, options, device]) => {
    const posterior = await diffem.load(`/test/golden/${name}.safetensors`, { device })
    const sigmas = []
    const onStep = ({ step, steps, sigma, state, mean }) => sigmas.push([step, steps, sigma, state.length, mean.length])
    const x = await posterior.samplePosterior(new Float32Array(y), a && new Float32Array(a), { ...options, onStep })
    posterior.close()
    return { x: Array.from(x), sigmas, info: posterior.info }
  }, [name, y, a, { draws: 3, seed: 7, index, ...options }, device])
}

describe('draws on cpu', () => {
  let browser
  before(async () => { browser = await open() })
  after(() => browser.close())

  for (const [name, index] of [['curve', 0], ['curve', 200], ['digits', 0], ['digits', 23], ['waves', 0], ['waves', 23]]) {
    test(`of ${name} ${index} are the command line's`, async () => {
      const { x, sigmas, info } = await draw(browser.page, name, index)
      assert.equal(info.device, 'cpu')
      const expected = row(tensors(`${name}-draws.safetensors`).x, index)
      const worst = difference(x, expected)
      console.log(`cpu ${name} ${index}: max difference ${worst.toExponential(1)}`)
      assert.ok(worst < TOLERANCE.cpu, `difference ${worst}`)
      assert.equal(sigmas.length, 12)
      assert.deepEqual(sigmas.map(([step]) => step), Array.from({ length: 12 }, (_, i) => i + 1))
      assert.ok(sigmas.every(([, steps, sigma, state, mean], i) =>
        steps === 12 && state === x.length && mean === x.length && (i === 0 || sigma < sigmas[i - 1][2])))
    })
  }
})

// A software adapter takes a second for a call of the network: few steps, against the CPU, whose draws are the command line's.
describe('draws on webgpu', { skip: withoutGpu }, () => {
  let browser
  before(async () => { browser = await open({ gpu: true }) })
  after(() => browser.close())

  for (const [name, index] of [['curve', 200], ['digits', 23], ['waves', 23]]) {
    test(`of ${name} ${index} are the CPU's`, async () => {
      const few = { steps: 3 }
      const { x, sigmas, info } = await draw(browser.page, name, index, few, 'webgpu')
      assert.equal(info.device, 'webgpu')
      assert.equal(sigmas.length, 3)
      const worst = difference(x, (await draw(browser.page, name, index, few)).x)
      console.log(`webgpu ${name} ${index}: max difference ${worst.toExponential(1)}`)
      assert.ok(worst < TOLERANCE.webgpu, `difference ${worst}`)
    })
  }
})

describe('one page', () => {
  let browser
  before(async () => { browser = await open() })
  after(() => browser.close())

  // Conjugate gradients through the derivatives of a barely trained network multiply differences of rounding a thousandfold.
  for (const [kind, tolerance] of [['blur', 1e-5], ['ambient', 1e-5], ['mmps', 1e-2], ['down', 1e-2]]) {
    test(`draws of another kind of run are the command line's: ${kind}`, async () => {
      const { x } = await draw(browser.page, `kind-${kind}`, 1)
      const worst = difference(x, row(tensors(`kind-${kind}-draws.safetensors`).x, 1))
      console.log(`${kind}: max difference ${worst.toExponential(1)}`)
      assert.ok(worst < tolerance, `difference ${worst}`)
    })
  }

  test('workers that share the draws make the same ones, and can be stopped', async () => {
    const found = await browser.page.evaluate(async () => {
      const load = (workers) => diffem.load('/test/golden/digits.safetensors', { device: 'cpu', workers })
      const [alone, crew] = [await load(1), await load(3)]
      const { y, a } = await alone.example(0)
      const seen = (posterior) => {
        const steps = []
        const onStep = ({ step, state, mean }) => steps.push([step, Array.from(state), Array.from(mean)])
        return posterior.samplePosterior(y, a, { draws: 7, seed: 3, onStep }).then((x) => ({ x: Array.from(x), steps }))
      }
      const expected = await seen(alone)
      const first = await seen(crew)
      while (crew.workers < 3) await new Promise((resolve) => setTimeout(resolve, 20))
      const shared = await seen(crew)
      const stop = new AbortController()
      const options = { draws: 7, steps: 10_000, signal: stop.signal, onStep: () => stop.abort() }
      const canceled = await crew.samplePosterior(y, a, options).catch((error) => error.name)
      const wrong = await crew.samplePosterior(new Float32Array(3), a, { draws: 7 }).catch((error) => error.message)
      const many = await crew.samplePosterior(y, a, { draws: 65537 }).catch((error) => error.message)
      const again = await seen(crew)
      alone.close()
      crew.close()
      const same = [first, shared, again].map((found) => JSON.stringify(found) === JSON.stringify(expected))
      return { same, canceled, wrong, many, steps: expected.steps.length }
    })
    assert.deepEqual(found, {
      same: [true, true, true], canceled: 'AbortError', wrong: 'y: expected 64 numbers, found 3',
      many: 'draws: expected 1 to 65536, found 65537', steps: 12,
    })
  })

  test('another seed, sampler or number of steps gives other draws', async () => {
    const base = (await draw(browser.page, 'curve', 0)).x
    assert.equal(difference((await draw(browser.page, 'curve', 0)).x, base), 0)
    for (const options of [{ seed: 8 }, { sampler: 'dpmpp2m-sde' }, { steps: 6 }, { index: 1 }]) {
      const { x } = await draw(browser.page, 'curve', 0, options)
      assert.ok(difference(x, base) > 1e-3, JSON.stringify(options))
    }
  })

  test('a checkpoint describes itself and carries examples', async () => {
    const { info, examples } = await browser.page.evaluate(async () => {
      const posterior = await diffem.load('/test/golden/digits.safetensors')
      const example = await posterior.example(2)
      const lengths = Object.fromEntries(Object.entries(example).map(([name, v]) => [name, v.length]))
      const last = await posterior.example(3).catch((error) => error.message)
      posterior.close()
      return { info: posterior.info, examples: [lengths, last] }
    })
    assert.deepEqual(examples, [{ x: 64, y: 64, a: 64 }, 'example 3: this checkpoint carries 3, from 0'])
    assert.equal(info.device, 'cpu')
    assert.deepEqual([info.name, info.lap, info.d, info.m, info.k, info.examples], ['digits', 1, 64, 64, 64, 3])
    assert.deepEqual(info.image, { channels: 1, height: 8, width: 8 })
    assert.equal(info.channel[1].rate, 0.5)
    assert.equal(info.sampler.kind, 'ddpm')
  })

  test('observations are those of diffem corrupt', async () => {
    for (const name of ['curve', 'digits', 'waves']) {
      const golden = tensors(`${name}-corrupted.safetensors`)
      const found = await browser.page.evaluate(async ([name, x, a]) => {
        const posterior = await diffem.load(`/test/golden/${name}.safetensors`)
        const seen = await posterior.observe(new Float32Array(x), { seed: 11 })
        const fixed = await posterior.observe(new Float32Array(x), { seed: 11, a: new Float32Array(a) })
        posterior.close()
        return { y: Array.from(seen.y), a: Array.from(seen.a), fixed: Array.from(fixed.y) }
      }, [name, golden.x.values, golden.a.values])
      assert.ok(difference(found.a, golden.a.values) < 1e-6, name)
      assert.ok(difference(found.y, golden.y.values) < 1e-6, name)
      assert.ok(difference(found.fixed, golden.y.values) < 1e-6, name)
    }
  })

  test('another rate is another channel of the same lengths', async () => {
    const found = await browser.page.evaluate(async () => {
      const posterior = await diffem.load('/test/golden/digits.safetensors')
      const { x } = await posterior.example(0)
      const channel = posterior.info.channel.map((stage) => (stage.kind === 'mask' ? { ...stage, rate: 0.9 } : stage))
      const { a } = await posterior.observe(x, { seed: 1, channel })
      const short = await posterior.observe(x, { channel: [{ kind: 'projection', rows: 2 }] }).catch((e) => e.message)
      posterior.close()
      return { seen: a.reduce((sum, v) => sum + v), short }
    })
    assert.ok(found.seen > 0 && found.seen < 20, `${found.seen} of 64 seen`)
    assert.equal(found.short, 'channel: expected observations of length 64 with 64 parameters, found observations of ' +
      'length 2 with 128 parameters')
  })

  test('the page is never blocked for 50 ms', async () => {
    await browser.page.evaluate(() => { window.longest = 0 })
    await draw(browser.page, 'digits', 0, { draws: 16, steps: 24 })
    const longest = await browser.page.evaluate(() => window.longest)
    assert.ok(longest < 50, `a task of ${longest} ms`)
  })
})
