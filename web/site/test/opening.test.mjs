// The moving picture beside the title: it plays once, and not at all where the reader wants no motion.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { open, serve, shot } from './browser.mjs';

let server;
before(async () => (server = await serve()));

const opening = (page) => page.evaluate(() => {
  const { at, playing } = document.querySelector('diffem-opening');
  return { at, playing };
});

/** How many pixels of the canvas have the color of reconstructions; runs in the page. */
function points() {
  const canvas = document.querySelector('diffem-opening').shadowRoot.querySelector('canvas');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let n = 0;
  for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 100 && data[i + 2] > data[i] + 60 && data[i + 2] > data[i + 1] + 20) n += 1;
  return n;
}

test('lines come first, then points, and it ends within five seconds by itself', async () => {
  const { page, close, log } = await open(`${server.origin}/`);
  await page.waitForFunction(() => document.querySelector('diffem-opening')?.playing && document.querySelector('diffem-opening').at > 0.1);
  assert.ok((await page.locator('diffem-opening canvas').boundingBox()).width > 200);
  const { at } = await opening(page);
  // A busy machine may show the first frames late.
  if (at < 0.25) assert.equal(await page.evaluate(points), 0);
  await shot(page, 'opening-lines', 'header');
  await page.waitForFunction(() => !document.querySelector('diffem-opening').playing);
  assert.deepEqual(await opening(page), { at: 1, playing: false });
  await page.waitForFunction(points);
  assert.ok((await page.evaluate(points)) > 1000);
  await shot(page, 'opening-end', 'header');
  await page.locator('header').getByRole('button', { name: 'Replay' }).click();
  await page.waitForFunction(() => document.querySelector('diffem-opening').at > 0 && document.querySelector('diffem-opening').at < 1);
  await page.locator('header').getByRole('button', { name: 'Stop' }).click();
  assert.deepEqual(await opening(page), { at: 1, playing: false });
  const blocked = await page.evaluate(() => longTasks.filter(({ at }) => at > 3000).map(({ ms }) => ms));
  assert.deepEqual(blocked.filter((ms) => ms > 50), []);
  assert.deepEqual(log, []);
  await close();
});

test('reduced motion: the last picture, and a button that plays', async () => {
  const { page, close } = await open(`${server.origin}/`, { reducedMotion: 'reduce', colorScheme: 'dark', width: 360, height: 740 });
  await page.locator('header').getByRole('button', { name: 'Watch' }).waitFor();
  assert.deepEqual(await opening(page), { at: 1, playing: false });
  await page.waitForFunction(points);
  await shot(page, 'opening-360', 'header');
  await page.locator('header').getByRole('button', { name: 'Watch' }).click();
  await page.waitForFunction(() => document.querySelector('diffem-opening').playing);
  await close();
});
