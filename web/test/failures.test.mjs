// Failures: broken files, wrong arrays, canceled work, a browser without WebGPU, a lost device.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { open, withoutGpu } from './support/browser.mjs'
import { difference, row, tensors } from './support/golden.mjs'

describe('without WebGPU', () => {
  let browser
  before(async () => { browser = await open() })
  after(() => browser.close())

  test('a broken checkpoint is an Error with the core\'s message', async () => {
    const messages = await browser.page.evaluate(async () => {
      const whole = new Uint8Array(await (await fetch('/test/golden/curve.safetensors')).arrayBuffer())
      const load = (bytes) => diffem.load(bytes).then(() => 'loaded', (error) => `${error.name}: ${error.message}`)
      const text = (from, to) => {
        const place = new TextDecoder('latin1').decode(whole).indexOf(from)
        const copy = whole.slice()
        copy.set(new TextEncoder().encode(to), place)
        return copy
      }
      return [
        await load(new Uint8Array()),
        await load(whole.subarray(0, 1000)),
        await load(text('\\"format_version\\":1', '\\"format_version\\":9')),
        await load(text('\\"width\\":32', '\\"width\\":48')),
        await load(text('\\"kind\\":\\"projection\\"', '\\"kind\\":\\"projektion\\"')),
        await diffem.load('/nothing.safetensors').catch((error) => error.message.replace(/http:..127.0.0.1:\d+/, '')),
        await load(whole),
      ]
    })
    assert.match(messages[0], /^Error: checkpoint: not a whole safetensors file/)
    assert.match(messages[1], /^Error: checkpoint: not a whole safetensors file/)
    assert.equal(messages[2], 'Error: checkpoint: format version 9; this build reads up to 1: update diffem')
    assert.match(messages[3], /^Error: checkpoint: tensor `.*` has shape .*, the network of this config needs/)
    assert.match(messages[4], /^Error: checkpoint: metadata: unknown variant `projektion`/)
    assert.equal(messages[5], '/nothing.safetensors: the server answered 404 Not Found')
    assert.equal(messages[6], 'loaded')
  })

  test('wrong arrays and options are Errors, and the posterior stays usable', async () => {
    const messages = await browser.page.evaluate(async () => {
      const posterior = await diffem.load('/test/golden/curve.safetensors')
      const { y, a } = await posterior.example(0)
      const said = (work) => work.then(() => 'done', (error) => error.message)
      const found = [
        await said(posterior.samplePosterior(new Float32Array(3), a)),
        await said(posterior.samplePosterior(y, undefined)),
        await said(posterior.samplePosterior(new Float32Array([NaN]), a)),
        await said(posterior.samplePosterior(y, a, { draws: 0 })),
        await said(posterior.samplePosterior(y, a, { seed: -1 })),
        await said(posterior.samplePosterior(y, a, { sampler: 'euler' })),
        await said(posterior.observe(new Float32Array(1))),
        await said(posterior.samplePosterior(y, a, { draws: 2 })),
      ]
      posterior.close()
      return [...found, await said(posterior.example(0))]
    })
    assert.deepEqual(messages.slice(0, 4), [
      'y: expected 1 numbers, found 3', 'a: expected 2 numbers, found 0', 'y[0]: expected a finite number, found NaN',
      'draws: expected 1 to 65536, found 0',
    ])
    assert.match(messages[4], /^options: invalid value: integer `-1`, expected u64/)
    assert.match(messages[5], /^sampler: unknown variant `euler`, expected one of `ddpm`/)
    assert.deepEqual(messages.slice(6), [
      'x: expected 2 numbers, found 1', 'done', 'this posterior or live training has been closed',
    ])
  })

  test('canceled draws stop, and the next draws are complete', async () => {
    const { name, after, steps, same } = await browser.page.evaluate(async () => {
      const posterior = await diffem.load('/test/golden/digits.safetensors')
      const { y, a } = await posterior.example(0)
      const expected = await posterior.samplePosterior(y, a, { draws: 2 })
      const stop = new AbortController()
      let steps = 0
      const onStep = ({ step }) => { steps = step; if (step === 3) stop.abort() }
      const options = { draws: 16, steps: 10_000, signal: stop.signal, onStep }
      const error = await posterior.samplePosterior(y, a, options).catch((error) => error)
      const since = performance.now()
      const again = await posterior.samplePosterior(y, a, { draws: 2 })
      posterior.close()
      const same = again.every((v, i) => v === expected[i])
      return { name: error.name, steps, after: performance.now() - since, same }
    })
    assert.equal(name, 'AbortError')
    assert.equal(steps, 3)
    assert.ok(same)
    // 10 000 steps take minutes, so the worker must have stopped them.
    assert.ok(after < 5000, `${after} ms`)
  })

  test('loading can be canceled and reports its progress', async () => {
    const { name, progress, length } = await browser.page.evaluate(async () => {
      const early = AbortSignal.abort()
      const error = await diffem.load('/test/golden/curve.safetensors', { signal: early }).catch((error) => error)
      const progress = []
      const onProgress = (loaded, total) => progress.push([loaded, total])
      const posterior = await diffem.load('/test/golden/curve.safetensors', { onProgress })
      posterior.close()
      const length = (await (await fetch('/test/golden/curve.safetensors')).arrayBuffer()).byteLength
      return { name: error.name, progress, length }
    })
    assert.equal(name, 'AbortError')
    assert.deepEqual(progress.at(-1), [length, length])
    assert.ok(progress.every(([loaded], i) => i === 0 || loaded > progress[i - 1][0]))
  })

  test('auto selects the CPU, and asking for WebGPU is an error', async () => {
    const [auto, asked] = await browser.page.evaluate(async () => {
      const posterior = await diffem.load('/test/golden/curve.safetensors', { device: 'auto' })
      posterior.close()
      const asked = await diffem.load('/test/golden/curve.safetensors', { device: 'webgpu' }).catch((e) => e.message)
      return [posterior.info.device, asked]
    })
    assert.deepEqual([auto, asked], ['cpu', 'WebGPU: this browser offers no adapter'])
  })
})

describe('with WebGPU', { skip: withoutGpu }, () => {
  let browser
  before(async () => { browser = await open({ gpu: true }) })
  after(() => browser.close())

  test('a lost device falls back to the CPU, with the same draws', async () => {
    await browser.page.exposeFunction('loseDevice', async () => {
      // The crash ends the process that talks to the GPU.
      const session = await browser.browser.newBrowserCDPSession()
      await session.send('Browser.crashGpuProcess').catch(() => {})
    })
    const observations = tensors('digits-observations.safetensors')
    const { x, again, devices } = await browser.page.evaluate(async ([y, a]) => {
      const posterior = await diffem.load('/test/golden/digits.safetensors', { device: 'auto' })
      const before = posterior.info.device
      let lost
      const onStep = ({ step }) => {
        if (step === 2 && !lost) lost = window.loseDevice()
      }
      const options = { draws: 3, seed: 7, onStep }
      const x = await posterior.samplePosterior(new Float32Array(y), new Float32Array(a), options)
      await lost
      const again = await posterior.samplePosterior(new Float32Array(y), new Float32Array(a), { draws: 3, seed: 7 })
      posterior.close()
      return { x: Array.from(x), again: Array.from(again), devices: [before, posterior.info.device] }
    }, [row(observations.y, 0), row(observations.a, 0)])
    assert.deepEqual(devices, ['webgpu', 'cpu'])
    const expected = row(tensors('digits-draws.safetensors').x, 0)
    assert.ok(difference(x, expected) < 1e-5 && difference(again, expected) < 1e-5)
  })
})
