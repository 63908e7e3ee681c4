// The built page in Firefox: it runs, and what it computes has the bits that Chromium computes.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import puppeteer from 'puppeteer-core';
import { serve } from './browser.mjs';
import { drawsInChromium, drawsShown, lapInChromium, lapShown, lapped, sampled } from './shown.mjs';

const executablePath = process.env.DIFFEM_FIREFOX ?? '/usr/bin/firefox-esr';
const skip = !existsSync(executablePath) && `${executablePath} is not installed; apt-get install firefox-esr`;
/** A busy machine is slow but correct, so waits are long. */
const PATIENCE = 180_000;

let [server, firefox, page] = [];
const failures = [];
before(async () => {
  if (skip) return;
  server = await serve();
  firefox = await puppeteer.launch({ browser: 'firefox', executablePath, headless: true, protocolTimeout: PATIENCE });
  page = await firefox.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.on('pageerror', (error) => failures.push(error.message));
  await page.setViewport({ width: 1100, height: 900 });
  await page.goto(`${server.origin}/`, { waitUntil: 'domcontentloaded' });
});
after(() => firefox?.close());

/** Scrolls to `selector` inside figure `name` of the page, until sections that are laid out on the way no longer move it. */
const show = (name, selector) => until((n, s) => {
  const target = document.querySelector(n)?.shadowRoot?.querySelector(s);
  const middle = () => Math.abs(target.getBoundingClientRect().top + target.clientHeight / 2 - innerHeight / 2);
  if (!target || middle() < 20) return Boolean(target);
  target.scrollIntoView({ block: 'center', behavior: 'instant' });
  return false;
}, name, selector);
const press = (label) => until((text) => {
  const button = [...document.querySelector('diffem-manifold').shadowRoot.querySelectorAll('button')].find((b) => b.textContent.trim() === text && !b.disabled);
  button?.click();
  return Boolean(button);
}, label);
const until = (condition, ...args) => page.waitForFunction(condition, { polling: 200 }, ...args);

test('strokes drawn by pointer are learned, and the address opens the same data in Chromium', { skip }, async (t) => {
  await until(() => document.querySelector('diffem-manifold')?.shadowRoot?.querySelector('canvas.plane'));
  await press('Draw your own');
  await until(() => document.querySelector('diffem-manifold').shadowRoot.querySelector('canvas.pad'));
  await show('diffem-manifold', 'canvas.pad');
  const box = await page.evaluate(() => document.querySelector('diffem-manifold').shadowRoot.querySelector('canvas.pad').getBoundingClientRect().toJSON());
  const at = ([x, y]) => [box.x + x * box.width, box.y + y * box.height];
  for (const stroke of [[[0.2, 0.2], [0.8, 0.8]], [[0.2, 0.8], [0.5, 0.4], [0.8, 0.2]]]) {
    await page.mouse.move(...at(stroke[0]));
    await page.mouse.down();
    for (const p of stroke.slice(1)) await page.mouse.move(...at(p), { steps: 4 });
    await page.mouse.up();
  }
  assert.equal(await page.evaluate(() => document.querySelector('diffem-manifold').sketch.pad.strokes.length), 2);
  await press('Hide and learn it');
  await until(lapped);
  await until(() => location.hash.startsWith('#curve='));
  await press('Pause');
  const here = await page.evaluate(lapShown);
  assert.deepEqual(await lapInChromium(page.url()), here);
  t.diagnostic(`${here[1].length} numbers after a lap have the same bits`);
  assert.deepEqual(failures, []);
});

test('posterior draws have the bits of Chromium', { skip }, async (t) => {
  await page.evaluate(() => document.querySelector('#fig-5').scrollIntoView({ behavior: 'instant' }));
  await show('diffem-posterior', 'canvas.paint');
  await until(sampled);
  const here = await page.evaluate(drawsShown);
  assert.deepEqual(await drawsInChromium(`${server.origin}/`), here);
  t.diagnostic(`${here.length} numbers have the same bits`);
  assert.deepEqual(failures, []);
});

test('a dropped picture is sampled, and an SVG gets one sentence', { skip }, async () => {
  const drop = (name, blob) => page.evaluate(async (name, draw) => {
    const canvas = new OffscreenCanvas(90, 60);
    const g = canvas.getContext('2d');
    g.fillStyle = 'white';
    g.fillRect(30, 0, 30, 30);
    const data = new DataTransfer();
    data.items.add(new File([draw ? await canvas.convertToBlob({ type: 'image/png' }) : '<svg xmlns="http://www.w3.org/2000/svg"/>'], name));
    document.querySelector('diffem-posterior').dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
  }, name, blob);
  await drop('half.png', true);
  await until(() => document.querySelector('diffem-posterior').model.own.length === 1);
  await until(sampled);
  const { known, mask } = await page.evaluate(() => {
    const { model, painter } = document.querySelector('diffem-posterior');
    return { known: [...model.known], mask: [...painter.mask] };
  });
  assert.deepEqual(mask, known);
  // The middle square is 60 by 60, of which the upper half between its quarters is opaque.
  assert.ok(Math.abs(known.filter((v) => v).length / 784 - 0.25) < 0.03);
  await drop('line.svg', false);
  await until(() => /^line\.svg: expected a PNG or JPEG picture; an SVG has no pixels/.test(document.querySelector('diffem-posterior').shadowRoot.querySelector('.status.failed')?.textContent ?? ''));
  assert.deepEqual(failures, []);
});
