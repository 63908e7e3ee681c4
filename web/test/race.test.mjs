// The race between the CPU and WebGPU, with runs that only count and wait.
import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, describe, test } from 'node:test'

let imports = 0
/** A browser whose adapter has this description, with the module that asks it once. */
function withAdapter(description) {
  Object.defineProperty(globalThis, 'navigator', {
    value: { gpu: { requestAdapter: async () => description && { info: { description } } } }, configurable: true,
  })
  return import(`../js/dist/race.js?${imports++}`)
}

const STEPS = 8
/** The run's pieces: the start, then laps of eight pieces of the M-step and two of the E-step. */
function piece(i) {
  if (i === 0) return { phase: 'start', lap: 0, fraction: 1 }
  const [lap, at] = [Math.floor((i - 1) / (STEPS + 2)), (i - 1) % (STEPS + 2)]
  return at < STEPS ? { phase: 'm-step', lap, fraction: (at + 1) / STEPS } : { phase: 'e-step', lap, fraction: (at - STEPS + 1) / 2 }
}

/** A worker that takes `ms` for a piece. */
function worker(ms) {
  const self = { done: 0, ended: false, call: async () => (await wait(ms), piece(self.done++)), end: () => { self.ended = true } }
  return self
}

/** Runs `pieces` pieces as LiveTraining does; returns who made each, and what. */
async function run(challenger, cpu, pieces) {
  const made = []
  let [remote, last] = [cpu]
  for (let i = 0; i < pieces; i++) {
    const faster = challenger.take(last)
    if (faster) remote = faster
    if (remote === cpu) challenger.follow()
    const from = performance.now()
    last = await remote.call()
    if (remote === cpu) challenger.note(last, (performance.now() - from) / 1000)
    made.push({ by: remote === cpu ? 'cpu' : 'webgpu', ...last })
  }
  return made
}

describe('the race', () => {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator')
  afterEach(() => before ? Object.defineProperty(globalThis, 'navigator', before) : delete globalThis.navigator)

  test('a faster device catches up and goes on with the same run', async () => {
    const { Challenger } = await withAdapter('a fast card')
    const [cpu, gpu] = [worker(20), worker(2)]
    // It starts late, as after a download.
    const challenger = new Challenger(async () => (await wait(100), gpu), false)
    const made = await run(challenger, cpu, 40)
    assert.deepEqual(made.map(({ by, ...rest }) => rest), Array.from({ length: 40 }, (_, i) => piece(i)))
    assert.equal(made[0].by, 'cpu')
    assert.equal(made.at(-1).by, 'webgpu')
    assert.deepEqual([challenger.result.winner, challenger.result.complete, gpu.ended], ['webgpu', true, false])
    assert.ok(challenger.result.webgpu < challenger.result.cpu)
  })

  test('a slower device leaves after a few pieces', async () => {
    const { Challenger } = await withAdapter('a slow card')
    const [cpu, gpu] = [worker(5), worker(40)]
    const challenger = new Challenger(async () => gpu, false)
    const made = await run(challenger, cpu, 80)
    assert.ok(made.every(({ by }) => by === 'cpu'))
    assert.deepEqual([challenger.result.winner, challenger.result.complete, gpu.ended, gpu.done], ['cpu', true, true, 5])
  })

  test('a device that does not answer is given up', async (t) => {
    const { Challenger } = await withAdapter('a card that hangs')
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const gpu = { call: () => new Promise(() => {}), ended: false, end: () => { gpu.ended = true } }
    const challenger = new Challenger(async () => gpu, false)
    challenger.follow()
    challenger.note(piece(1), 0.01)
    for (let i = 0; i < 20; i++) await Promise.resolve()
    t.mock.timers.tick(20_000)
    for (let i = 0; i < 20; i++) await Promise.resolve()
    assert.deepEqual([challenger.result.winner, challenger.result.complete, gpu.ended], ['cpu', false, true])
  })

  test('a software adapter takes part only where it is asked to', async () => {
    const { Challenger } = await withAdapter('SwiftShader driver')
    for (const software of [false, true]) {
      let started = false
      const challenger = new Challenger(async () => ((started = true), worker(1)), software)
      await wait(20)
      assert.equal(started, software)
      challenger.leave()
    }
  })
})
