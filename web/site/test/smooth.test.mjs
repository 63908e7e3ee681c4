// A reader's hand is never held: no task of more than 50 ms while a figure is dragged, painted on or replayed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TRIES, see, withPage } from './browser.mjs';

const browser = withPage();

/** Longest task in ms while `work` goes on and shortly after. */
async function longest(page, work) {
  await page.waitForTimeout(300);
  const from = await page.evaluate(() => performance.now());
  await work();
  await page.waitForTimeout(300);
  return page.evaluate((t) => Math.max(0, ...longTasks.filter(({ at }) => at >= t).map(({ ms }) => ms)), from);
}

/** Presses and moves along a wave from the left to the right of `selector` in `host`. */
async function drag(page, host, selector, height = 0) {
  const find = ([h, s]) => {
    const { x, y, width, height } = document.querySelector(h).shadowRoot.querySelector(s).getBoundingClientRect();
    return { x, y, width, height };
  };
  const box = await page.evaluate(find, [host, selector]);
  const at = (t) => [box.x + box.width * (0.1 + 0.8 * t), box.y + box.height * (0.5 + height * Math.sin(9 * t))];
  await page.mouse.move(...at(0));
  await page.mouse.down();
  for (let i = 1; i <= 50; i += 1) await page.mouse.move(...at(i / 50));
  await page.mouse.up();
}

const press = (page, host) => page.evaluate((h) => document.querySelector(h).shadowRoot.querySelector('button.main').click(), host);
const sampled = (page) => page.waitForFunction(() => !document.querySelector('diffem-posterior').model.busy);

// [figure, what the reader does, how]
const HANDS = [
  ['#fig-1', 'lines followed', (page) => drag(page, 'diffem-corruption', 'canvas.plane', 0.3)],
  ['#fig-1', 'number of observations', (page) => drag(page, 'diffem-corruption', 'input[name=shown]')],
  ['#fig-2', 'laps looked back at', (page) => drag(page, 'diffem-manifold', 'input[name=lap]')],
  ['#fig-3', 'observations gone through', (page) => drag(page, 'diffem-draws', 'input[name=observation]')],
  ['#fig-4', 'variance of the first prior', (page) => drag(page, 'diffem-theory', 'input[name=start]')],
  ['#fig-4', 'lap of the closed form', (page) => drag(page, 'diffem-theory', 'input[name=lap]')],
  ['#fig-5', 'a mask painted and sampled', async (page) => { await drag(page, 'diffem-posterior', 'canvas.paint', 0.3); await page.waitForTimeout(500); await sampled(page); }],
  ['#fig-5', 'new draws', async (page) => { await press(page, 'diffem-posterior'); await sampled(page); }],
];

for (const [figure, what, work] of HANDS) {
  test(`${figure}: ${what}`, async (t) => {
    const { page, log } = browser;
    await see(page, `${figure} canvas, ${figure} svg`);
    const found = [];
    do found.push(await longest(page, () => work(page)));
    while (found.at(-1) > 50 && found.length < TRIES);
    t.diagnostic(`longest task, ms: ${found.map(Math.round).join(' ')}`);
    assert.ok(found.at(-1) <= 50, `tasks of ${found.map(Math.round)} ms`);
    assert.deepEqual(log, []);
  });
}
