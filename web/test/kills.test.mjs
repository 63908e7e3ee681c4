// Workers that end at random moments: every call that waits is rejected, the next worker answers correctly, and nothing
// is left over. DIFFEM_KILLS=100 ends a hundred instead of ten, and DIFFEM_SEED=n chooses other moments.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { open } from './support/browser.mjs'
import { difference, row, tensors } from './support/golden.mjs'

const KILLS = Number(process.env.DIFFEM_KILLS ?? 10)
const SEED = Number(process.env.DIFFEM_SEED ?? 1)
/** What a worker is doing when it ends. */
const WORKS = ['load', 'sample', 'train']
/** Its owner closes it, it throws, or it vanishes without a word, as when the browser is short of memory. */
const ENDS = ['close', 'throw', 'vanish']
const SAID = {
  close: /^(AbortError: .+|Error: this posterior or live training has been closed)$/,
  throw: /^Error: the worker cannot run: .*TypeError/,
  vanish: /^Error: the worker has ended unexpectedly/,
}
/** Longest time from the beginning of the work to the end of its worker, in ms; loading takes about as long in a new worker. */
const LONGEST = 100
/** Workers ended before memory is measured first; a browser keeps some caches for good. */
const WARM = Math.min(20, Math.ceil(KILLS / 2))
const CURVE = {
  data: 'curve', observations: 256, noise: 0.05, laps: 2, steps: 60, batch: 64, width: 32, depth: 2, learningRate: 2e-3,
  sampler: { kind: 'ddpm', steps: 12 },
}

/** Numbers in [0, 1) that depend on the seed alone (a linear congruential generator). */
let state = SEED >>> 0
function random() {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return state / 2 ** 32
}

/** Runs in the page and gives it what the kills need; `golden` are the rows y and a of an observation. */
function prepare({ y, a, curve }) {
  const Plain = Worker
  window.Worker = class extends Plain {
    began = new Promise((resolve) => this.addEventListener('message', resolve, { once: true }))
    postMessage(...message) {
      window.used = this
      super.postMessage(...message)
    }
  }
  const said = (promise) => promise.then(() => 'done', (error) => `${error.name}: ${error.message}`)
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  const load = (options) => diffem.load('/test/golden/curve.safetensors', options)
  const draws = (posterior, options) => posterior.samplePosterior(new Float32Array(y), new Float32Array(a), options)

  /** Each begins some work, and returns its worker, the calls that wait and what closes them. */
  const begin = {
    load: async () => {
      const stop = new AbortController()
      // The first takes the idle worker, so that the second has to start one.
      const [first, second] = [load(), load({ signal: stop.signal })]
      const worker = window.used
      for (const loaded of [first, second]) loaded.then((posterior) => posterior.close(), () => {})
      await first
      return { worker, calls: [second], close: () => stop.abort() }
    },
    sample: async () => {
      const posterior = await load()
      const calls = [draws(posterior, { draws: 256, steps: 4000 }), draws(posterior, { draws: 4, steps: 9000, onStep() {} })]
      return { worker: window.used, calls, close: () => posterior.close() }
    },
    train: async () => {
      const training = await diffem.LiveTraining.create({ ...curve, laps: 1000, steps: 4000 }, 3)
      const laps = async () => { for (;;) await training.lap() }
      return { worker: window.used, calls: [laps()], close: () => training.close() }
    },
  }
  /** The answers of a worker that begins afterwards. */
  const restart = {
    sample: async () => {
      const posterior = await load()
      const x = await draws(posterior, { draws: 3, seed: 7, index: 0 })
      posterior.close()
      return Array.from(x)
    },
    train: async () => {
      const training = await diffem.LiveTraining.create({ ...curve, observations: 64 }, 3)
      await training.step()
      await training.step()
      const cloud = await training.cloud()
      training.close()
      return Array.from(cloud)
    },
  }
  restart.load = restart.sample
  const ends = {
    close: ({ close }) => close(),
    throw: ({ worker }) => worker.postMessage(null),
    // Before its first message nothing tells a worker that has vanished from one that is slow to load.
    vanish: async ({ worker }) => {
      await worker.began
      worker.terminate()
    },
  }

  window.answer = (work) => restart[work]()
  window.kill = async ({ work, end, after }) => {
    const begun = await begin[work]()
    const outcomes = Promise.all(begun.calls.map(said))
    await Promise.race([wait(after), outcomes])
    await ends[end](begun)
    const messages = await Promise.race([outcomes, wait(5000).then(() => ['no answer within 5 s'])])
    // Where loading was over, the worker was idle, and is missed a moment later.
    if (end !== 'close') await wait(50)
    return { messages, x: await restart[work]() }
  }
}

describe('workers that end at random moments', () => {
  let browser, session
  before(async () => {
    browser = await open()
    session = await browser.page.context().newCDPSession(browser.page)
  })
  after(() => browser.close())

  /** Workers, kB of the page's own heap after a collection, and MB of all processes of the browser that show pages. */
  async function held() {
    for (let times = 0; times < 3; times++) await session.send('HeapProfiler.collectGarbage')
    const { usedSize } = await session.send('Runtime.getHeapUsage')
    const system = await browser.browser.newBrowserCDPSession()
    const { processInfo } = await system.send('SystemInfo.getProcessInfo')
    await system.detach()
    const resident = ({ id }) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${id}/status`, 'utf8'))?.[1] ?? 0)
    const megabytes = processInfo.filter(({ type }) => type === 'renderer').map(resident).reduce((a, b) => a + b, 0) / 1000
    return { workers: browser.page.workers().length, kilobytes: usedSize / 1000, megabytes }
  }

  test(`${KILLS} times`, async () => {
    const { y, a } = tensors('curve-observations.safetensors')
    const expected = row(tensors('curve-draws.safetensors').x, 0)
    await browser.page.evaluate(prepare, { y: row(y, 0), a: row(a, 0), curve: CURVE })
    const cloud = await browser.page.evaluate(() => answer('train'))
    const counts = {}
    let first
    for (let i = 0; i < KILLS; i++) {
      const [work, end] = [WORKS[i % 3], ENDS[Math.floor(random() * 3)]]
      const kill = { work, end, after: Math.floor(random() * LONGEST) }
      const { messages, x } = await browser.page.evaluate((kill) => window.kill(kill), kill)
      const moment = `${JSON.stringify({ i, ...kill })}: ${messages}`
      const early = work === 'load' && messages[0] === 'done'
      assert.ok(early || messages.every((message) => SAID[end].test(message)), moment)
      assert.ok(difference(x, work === 'train' ? cloud : expected) < (work === 'train' ? 1e-12 : 1e-5), moment)
      const what = `${work}, ${early ? 'loaded before' : end}`
      counts[what] = (counts[what] ?? 0) + 1
      if (i + 1 === WARM) first = await held()
    }
    const last = await held()
    console.log(JSON.stringify(counts))
    console.log(`after ${WARM} and ${KILLS}: ${JSON.stringify([first, last])}`)
    assert.ok(last.workers <= 2, `${last.workers} workers`)
    assert.ok(last.kilobytes < first.kilobytes + 300, `${first.kilobytes} kB, then ${last.kilobytes} kB`)
    assert.ok(last.megabytes < first.megabytes + 60, `${first.megabytes} MB, then ${last.megabytes} MB`)
    // A page without an icon says so, and a browser without an adapter of WebGPU.
    assert.deepEqual(browser.log.filter((line) => !/404|No available adapters/.test(line)), [])
  })
})
