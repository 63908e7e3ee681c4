// Drawing the hidden truth in the figure of live training: by pointer, touch, keyboard and file, and its address.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { open, ready, see, shot, withPage } from './browser.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const browser = withPage();
const figure = (page) => page.locator('#fig-2');
const press = (page, name) => figure(page).getByRole('button', { name, exact: true }).click();
const strokes = (page) => page.evaluate(() => document.querySelector('diffem-manifold').sketch.pad.shown);
const status = (page) => page.locator('#fig-2 .status').textContent();

/** Waits for the data of the drawing and returns them with the address of the page. */
async function learned(page) {
  await page.waitForFunction(() => {
    const { session } = document.querySelector('diffem-manifold');
    return session.config.data === 'drawn' && (session.status === 'running' || session.status === 'paused') && session.data;
  });
  return page.evaluate(() => {
    const { session, truth } = document.querySelector('diffem-manifold');
    return { y: Array.from(session.data.y), clean: Array.from(session.data.truth), config: session.config, truth };
  });
}

/** Draws through `points`, shares of the pad's sides. */
async function draw(page, points) {
  const box = await figure(page).locator('canvas.pad').boundingBox();
  const at = ([x, y]) => [box.x + x * box.width, box.y + y * box.height];
  await page.mouse.move(...at(points[0]));
  await page.mouse.down();
  for (const p of points.slice(1)) await page.mouse.move(...at(p), { steps: 6 });
  await page.mouse.up();
}

const CROSSED = [[0.2, 0.25], [0.8, 0.75], [0.8, 0.25], [0.2, 0.75], [0.2, 0.25]];

test('strokes drawn by pointer become the hidden truth, and the address opens them in another browser', async (t) => {
  const { page, log, server } = browser;
  await see(page, '#fig-2 canvas.plane');
  await press(page, 'Draw your own');
  assert.ok(await figure(page).getByRole('button', { name: 'Hide and learn it' }).isDisabled());
  await draw(page, [[0.1, 0.1], [0.3, 0.1]]);
  await draw(page, CROSSED);
  await draw(page, [[0.5, 0.9], [0.6, 0.9]]);
  assert.equal((await strokes(page)).length, 3);
  await press(page, 'Undo');
  const drawn = await strokes(page);
  assert.deepEqual(drawn.map((s) => s.length > 1), [true, true]);
  assert.ok(drawn.flat(2).every((v) => v >= -2 && v <= 2), 'the pad ends where the plane does');
  await figure(page).locator('input[name=thickness]').fill('0.05');
  await figure(page).locator('input[name=noise]').fill('0.03');
  await shot(page, 'fig-2-drawing', '#fig-2');
  await press(page, 'Hide and learn it');
  const here = await learned(page);
  assert.equal(here.truth, false, 'the truth is hidden');
  assert.deepEqual([here.config.thickness, here.config.noise], [0.05, 0.03]);
  await page.waitForFunction(() => /data=drawn/.test(location.search) && /^#curve=/.test(location.hash));
  const address = page.url();
  t.diagnostic(`an address of ${new URL(address).hash.length} characters behind the # for ${drawn.flat().length} points`);
  assert.ok(address.length < 300, address);
  const other = await open(address);
  const there = await learned(other.page);
  assert.deepEqual(there, here);
  assert.ok(await other.page.evaluate(() => Math.abs(document.querySelector('#fig-2').getBoundingClientRect().top) < innerHeight), 'the figure is in view');
  await shot(other.page, 'fig-2-opened');
  // Another drawing in the same address bar is taken over.
  await other.page.evaluate(() => (location.hash = 'curve=AAgDA'));
  await other.page.waitForFunction(() => document.querySelector('diffem-manifold')?.session?.config.drawing === 'AAgDA');
  await other.close();
  const broken = await open(`${server.origin}/?data=drawn#curve=%00`);
  await ready(broken.page);
  assert.equal(await broken.page.evaluate(() => document.querySelector('diffem-manifold').session.config.data), 'heart');
  assert.deepEqual(broken.log, []);
  await broken.close();
  assert.deepEqual(log, []);
});

test('a reset and the data menu lead back, and the drawing is still there', async () => {
  const { page } = browser;
  await press(page, 'Draw your own');
  assert.equal((await strokes(page)).length, 2);
  await press(page, 'Back to the run');
  await figure(page).locator('select[name=data]').selectOption('heart');
  await page.waitForFunction(() => !location.hash && !location.search.includes('data='));
  await figure(page).locator('select[name=data]').selectOption('drawn');
  assert.equal((await strokes(page)).length, 2);
  await press(page, 'Clear');
  assert.equal((await strokes(page)).length, 0);
});

test('keys draw', async () => {
  const { page } = browser;
  await figure(page).locator('canvas.pad').focus();
  for (const key of ['ArrowUp', 'Space', 'ArrowRight', 'ArrowRight', 'Shift+ArrowUp', 'Space', 'ArrowDown']) await page.keyboard.press(key);
  const [stroke] = await strokes(page);
  assert.deepEqual([stroke[0], stroke.at(-1)].map((p) => p.map((v) => Number(v.toFixed(2)))), [[0, 0.1], [0.2, 0.12]]);
  // The label is written anew in the next frame.
  await page.waitForFunction(() => /Drawing of 1 stroke\..*the pen, which is at 0\.2, 0\.02.*it is up/.test(document.querySelector('diffem-manifold').shadowRoot.querySelector('canvas.pad').ariaLabel));
  await shot(page, 'fig-2-drawing-keys', '#fig-2');
  await page.keyboard.press('Backspace');
  assert.equal((await strokes(page)).length, 0);
});

const file = (name, text) => ({ name, mimeType: 'text/csv', buffer: Buffer.from(text) });

test('points come from a file, chosen or dropped, and a bad file is said to be one', async () => {
  const { page, log } = browser;
  const choose = (name, text) => figure(page).locator('input[name=points]').setInputFiles(file(name, text));
  const said = (pattern) => page.waitForFunction((p) => new RegExp(p).test(document.querySelector('diffem-manifold').shadowRoot.querySelector('.status').textContent), pattern.source);
  await choose('ring.csv', ['x,y', ...Array.from({ length: 90 }, (_, i) => `${50 + 30 * Math.cos(i)},${7 + 15 * Math.sin(i)}`)].join('\n'));
  await said(/ring\.csv: 90 points\./);
  const spots = (await strokes(page)).flat();
  assert.equal(spots.length, 90);
  assert.ok(Math.abs(Math.max(...spots.map((p) => p[0])) - 1.8) < 1e-6 && Math.abs(Math.max(...spots.map((p) => p[1])) - 0.9) < 0.01, 'scaled evenly');
  for (const [name, text, message] of [
    ['words.csv', 'x,y\n1,2\nthree,4', /words\.csv: line 3: expected two numbers, found “three,4”/],
    ['empty.csv', '\n', /empty\.csv: expected lines of two numbers, one line per point, and found 0 points/],
    ['picture.csv', '\x89PNG\r\n\x1a\n\x00\x00', /picture\.csv: expected text with two numbers per line/],
  ]) {
    await choose(name, text);
    await said(message);
    assert.equal((await strokes(page)).length, 90, 'the drawing stays');
  }
  await shot(page, 'fig-2-drawing-failed', '#fig-2');
  await press(page, 'Hide and learn it');
  const { config } = await learned(page);
  assert.match(config.drawing, /^~/);
  await page.evaluate(() => {
    const data = new DataTransfer();
    data.items.add(new File([Array.from({ length: 3000 }, (_, i) => `${i};${i % 7}`).join('\n')], 'many.csv'));
    document.querySelector('diffem-manifold').dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
  });
  await said(/many\.csv: every 3\. of 3000 points is used\./);
  assert.equal((await strokes(page)).length, 1000);
  await press(page, 'Hide and learn it');
  await page.waitForFunction((before) => document.querySelector('diffem-manifold').session.config.drawing !== before, config.drawing);
  await page.waitForFunction(() => location.hash.startsWith('#curve=~'));
  const long = await page.evaluate(() => location.hash.length);
  assert.ok(long < 5000, `${long} characters`);
  assert.deepEqual(log, []);
});

// The divergences of the starts are .305 and .108. The curve's arms are told apart below .15, and the rings below .06.
for (const [name, laps, bound] of [['Loop', 5, 0.12], ['Two rings', 3, 0.06]]) {
  test(`${name}: what crosses itself or has two parts is recovered from projections`, async (t) => {
    const { page, log } = browser;
    await press(page, 'Draw your own');
    await press(page, name);
    await figure(page).locator('input[name=thickness]').fill('0.03');
    await figure(page).locator('input[name=noise]').fill('0.02');
    const { before, from } = await page.evaluate(() => ({ before: globalThis.laps.length, from: performance.now() }));
    await press(page, 'Hide and learn it');
    await page.waitForFunction((n) => globalThis.laps.length >= n, before + laps);
    const seen = await page.evaluate((n) => globalThis.laps.slice(n), before);
    t.diagnostic(seen.map(({ divergence, at }) => `${divergence.toFixed(3)} after ${((at - from) / 1000).toFixed(0)} s`).join(', '));
    await press(page, 'Pause');
    await figure(page).locator('input[name=truth]').check();
    await shot(page, `fig-2-learned-${laps}`, '#fig-2');
    const { divergence } = seen[laps - 1];
    assert.ok(divergence < bound, `divergence ${divergence} after lap ${laps}`);
    assert.deepEqual(log, []);
  });
}

test('touch draws on a narrow dark screen, and axe finds nothing', async () => {
  const { page, context, close, log } = await open(`${browser.server.origin}/`, { width: 360, height: 740, hasTouch: true, isMobile: true, deviceScaleFactor: 2, colorScheme: 'dark', reducedMotion: 'reduce' });
  await ready(page);
  await see(page, '#fig-2 canvas.plane');
  await figure(page).getByRole('button', { name: 'Draw your own' }).tap();
  await see(page, '#fig-2 canvas.pad');
  const box = await figure(page).locator('canvas.pad').boundingBox();
  const client = await context.newCDPSession(page);
  const touch = (type, ...touchPoints) => client.send('Input.dispatchTouchEvent', { type, touchPoints });
  const at = (share) => ({ x: box.x + box.width * share, y: box.y + box.height * (0.5 + 0.3 * Math.sin(7 * share)) });
  await touch('touchStart', at(0.2));
  for (let share = 0.22; share < 0.8; share += 0.02) await touch('touchMove', at(share));
  await touch('touchEnd');
  const [stroke] = await strokes(page);
  assert.ok(stroke.length > 8, `${stroke.length} points of a curved stroke`);
  const { wide, view } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, view: innerWidth }));
  assert.ok(wide <= view, `page ${wide} px wide in a window of ${view}`);
  await shot(page, 'fig-2-drawing-360', '#fig-2');
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run(document.querySelector('#fig-2'), { resultTypes: ['violations'] }));
  assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).slice(0, 4)}`), []);
  assert.deepEqual(log, []);
  await close();
});
