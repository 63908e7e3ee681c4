// The race for the faster device of live training, with a software adapter, which loses it.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { before, test } from 'node:test';
import { open, see, serve, shot } from './browser.mjs';

const skip = !existsSync(new URL('../../js/dist/gpu/diffem_gpu_bg.wasm', import.meta.url)) && 'built with --cpu-only';
let server;
before(async () => (server = await serve()));

const engine = () => document.querySelector('diffem-manifold').session.engine;

/** Opens the page at `query` and plays until `until` holds and the page says `words`. */
async function play(query, until, words) {
  const opened = await open(`${server.origin}/${query}`);
  const { page } = opened;
  await see(page, '#fig-2 canvas.plane');
  await page.getByRole('button', { name: 'Play', exact: true }).click();
  await page.waitForFunction(until);
  await page.locator('#fig-2 [part=device]').filter({ hasText: words }).waitFor();
  return { ...opened, said: await page.locator('#fig-2 [part=device]').textContent(), engine: await page.evaluate(engine) };
}

test('a software adapter races where the address asks for it, and the CPU is kept', { skip }, async (t) => {
  const { page, said, engine: found, log, close } = await play('?adapter=software', () => document.querySelector('diffem-manifold').session.engine?.race, /^It trains on the CPU: WebGPU took .* s for steps that took the CPU .* s\.$/);
  t.diagnostic(`${JSON.stringify(found.race)}: ${said}`);
  assert.deepEqual([found.device, found.racing, found.race.winner], ['cpu', false, 'cpu']);
  assert.ok(found.race.webgpu > found.race.cpu);
  await shot(page, 'fig-2-race', '#fig-2');
  // The run on the CPU has gone on meanwhile, and goes on.
  const laps = await page.evaluate(() => document.querySelector('diffem-manifold').session.laps.length);
  await page.waitForFunction((n) => document.querySelector('diffem-manifold').session.laps.length > n, laps);
  await page.locator('#fig-2 input[name=seed]').fill('1');
  await page.locator('#fig-2 input[name=seed]').blur();
  await page.waitForFunction(() => /seed=1/.test(location.search) && /adapter=software/.test(location.search));
  assert.deepEqual(log, []);
  await close();
});

test('a software adapter is left alone otherwise', { skip }, async () => {
  const { engine: found, close } = await play('', () => document.querySelector('diffem-manifold').session.laps.length > 1 && document.querySelector('diffem-manifold').session.engine && !document.querySelector('diffem-manifold').session.engine.racing, /^It trains on the CPU\.$/);
  assert.deepEqual([found.device, found.race], ['cpu', undefined]);
  await close();
});
