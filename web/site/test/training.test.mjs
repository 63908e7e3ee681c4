// Live training in the built page: it learns, it never blocks the page, it needs no network.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { open, ready, see, serve, shot } from './browser.mjs';

/** The curve in five dimensions: its start scores above 1. */
const BOUND = 0.6;
const LAPS = 6;

let server;
let browser;
before(async () => {
  server = await serve();
  browser = await open(`${server.origin}/`);
  await ready(browser.page);
});
after(async () => {
  await browser?.close();
  await server?.close();
});

test('the first picture is drawn within a second', async () => {
  const drawn = await browser.page.evaluate(() => performance.getEntriesByName('diffem-first-picture')[0]?.startTime);
  assert.ok(drawn < 1000, `drawn after ${drawn} ms`);
});

test('training lowers the divergence and leaves the page free', async (t) => {
  const { page, log } = browser;
  await see(page, '#fig-2 canvas.plane');
  await shot(page, 'fig-2-initial', '#fig-2');
  await page.locator('#fig-2 select[name=data]').selectOption('manifold');
  await page.waitForFunction(() => document.querySelector('diffem-manifold').session.data.d === 5 && document.querySelector('diffem-manifold').session.status === 'paused', null, { timeout: 30_000 });
  const from = await page.evaluate(() => performance.now());
  await page.getByRole('button', { name: 'Play', exact: true }).click();
  await page.waitForFunction(() => document.querySelector('diffem-manifold').session.live?.phase === 'e-step', null, { timeout: 60_000 });
  await shot(page, 'fig-2-running', '#fig-2');
  await page.waitForFunction((n) => laps.length >= n, LAPS, { timeout: 400_000 });
  const { seen, blocked, first } = await page.evaluate((start) => ({ seen: laps, blocked: longTasks.filter((l) => l.at > start), first: document.querySelector('diffem-manifold').session.laps[0] }), from);
  const minutes = (seen.at(-1).at - seen[0].at) / 60_000;
  t.diagnostic(`divergence ${first.divergence.toFixed(3)} at the start, ${seen.map((l) => l.divergence.toFixed(3)).join(' ')}; ${((seen.length - 1) / minutes).toFixed(1)} laps a minute`);
  t.diagnostic(`long tasks: ${JSON.stringify(blocked.map((b) => Math.round(b.ms)))}`);
  assert.ok(seen.at(-1).divergence < BOUND, `divergence ${seen.at(-1).divergence}`);
  assert.ok(seen.at(-1).divergence < first.divergence / 2);
  assert.deepEqual(blocked, [], 'tasks longer than 50 ms');
  assert.deepEqual(log, []);
});

test('pause stops the run, the slider looks back, step goes on by a phase', async () => {
  const { page } = browser;
  await page.getByRole('button', { name: 'Pause', exact: true }).click();
  const lap = page.locator('#fig-2 input[name=lap]');
  await lap.fill('0');
  assert.equal(await page.evaluate(() => document.querySelector('diffem-manifold').session.shown.lap), 0);
  const before = await page.evaluate(() => laps.length);
  await page.locator('#fig-2').getByRole('button', { name: 'One lap' }).click();
  await page.waitForFunction((n) => laps.length > n, before, { timeout: 30_000 });
  await page.waitForFunction(() => document.querySelector('diffem-manifold').session.status === 'paused');
});

test('a run out of sight rests', async () => {
  const { page } = browser;
  await page.getByRole('button', { name: 'Play', exact: true }).click();
  await see(page, 'footer');
  await page.waitForTimeout(1500);
  const rested = await page.evaluate(() => document.querySelector('diffem-manifold').session.losses.length);
  await page.waitForTimeout(1500);
  assert.equal(await page.evaluate(() => document.querySelector('diffem-manifold').session.losses.length), rested);
  await see(page, '#fig-2 canvas.plane');
  await page.waitForFunction((n) => document.querySelector('diffem-manifold').session.losses.length > n, rested, { timeout: 10_000 });
  await page.getByRole('button', { name: 'Pause', exact: true }).click();
});

test('the posterior of an observation is drawn through σ', async () => {
  const { page, log } = browser;
  await see(page, '#fig-2 canvas.plane');
  await page.locator('#fig-2 select[name=data]').selectOption('curve');
  await page.waitForFunction(() => document.querySelector('diffem-manifold').session.data.d === 2 && document.querySelector('diffem-manifold').session.status === 'paused', null, { timeout: 30_000 });
  await page.locator('#fig-2').getByRole('button', { name: 'One lap' }).click();
  await page.waitForFunction(() => document.querySelector('diffem-manifold').session.laps.length > 1, null, { timeout: 120_000 });
  await see(page, '#fig-3 canvas.plane');
  await page.waitForFunction(() => !document.querySelector('diffem-draws').busy, null, { timeout: 120_000 });
  await page.locator('#fig-3').getByRole('button', { name: 'Draw again' }).click();
  await page.waitForFunction(() => !document.querySelector('diffem-draws').busy, null, { timeout: 120_000 });
  await shot(page, 'fig-3-finished', '#fig-3');
  const last = await page.evaluate(() => document.querySelector('diffem-draws').at);
  await page.locator('#fig-3 input[name=sigma]').fill(String(Math.round(last / 2)));
  await shot(page, 'fig-3-running', '#fig-3');
  await page.locator('#fig-3 input[name=sigma]').fill(String(last));
  const off = await page.evaluate(offTheLine);
  assert.ok(off < 0.2, `draws lie ${off} off their line`);
  assert.deepEqual(log, []);
});

/** Root mean square distance of the last draws from the observation's line; runs in the page. */
function offTheLine() {
  const { session } = document.querySelector('diffem-manifold');
  const { y, a } = session.data;
  const [draws, i] = [document.querySelector('diffem-draws').points, session.selected];
  let sum = 0;
  for (let k = 0; k < draws.length; k += 2) sum += (a[2 * i] * draws[k] + a[2 * i + 1] * draws[k + 1] - y[i]) ** 2;
  return Math.sqrt(sum / (draws.length / 2));
}

test('after the page is loaded it asks the network for nothing', async () => {
  const { page } = browser;
  const asked = server.asked.length;
  await see(page, '#fig-2 canvas.plane');
  await page.locator('#fig-2 select[name=start]').selectOption('narrow');
  await page.waitForFunction(() => document.querySelector('diffem-manifold').session.status === 'paused', null, { timeout: 20_000 });
  await shot(page, 'fig-2-narrow-start', '#fig-2');
  assert.deepEqual(server.asked.slice(asked), []);
  await page.waitForTimeout(500);
  assert.match(page.url(), /start=narrow/);
});
