// The page stays responsive: no task takes more than 50 ms while the reader drags a figure, paints on it or
// replays it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TRIES, see, withPage } from './browser.mjs';

const browser = withPage();

/** Longest task in ms during `work` and shortly after it. */
async function longest(page, work) {
  await page.waitForTimeout(300);
  const from = await page.evaluate(() => performance.now());
  await work();
  await page.waitForTimeout(300);
  return page.evaluate((t) => Math.max(0, ...longTasks.filter(({ at }) => at >= t).map(({ ms }) => ms)), from);
}

/** Drags the pointer along a wave from the left to the right of `selector` in `host`. */
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

/** Figure, description of what the reader does, and how. */
const INTERACTIONS = [
  ['#fig-1', 'selecting lines', (page) => drag(page, 'diffem-corruption', 'canvas.plane', 0.3)],
  ['#fig-1', 'changing the number of observations', (page) => drag(page, 'diffem-corruption', 'input[name=shown]')],
  ['#fig-2', 'looking back at laps', (page) => drag(page, 'diffem-manifold', 'input[name=lap]')],
  ['#fig-3', 'changing the observation', (page) => drag(page, 'diffem-draws', 'input[name=observation]')],
  ['#fig-4', 'changing the variance of the initial prior', (page) => drag(page, 'diffem-theory', 'input[name=start]')],
  ['#fig-4', 'changing the lap of the closed form', (page) => drag(page, 'diffem-theory', 'input[name=lap]')],
  ['#fig-5', 'painting a mask and sampling', async (page) => { await drag(page, 'diffem-posterior', 'canvas.paint', 0.3); await page.waitForTimeout(500); await sampled(page); }],
  ['#fig-5', 'drawing again', async (page) => { await press(page, 'diffem-posterior'); await sampled(page); }],
];

for (const [figure, what, work] of INTERACTIONS) {
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
