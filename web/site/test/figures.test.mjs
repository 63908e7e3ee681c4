// The other figures of the built page: corrupted data, theory and pictures; keyboard, reduced motion, state
// in the address.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { open, ready, see, shot, withPage } from './browser.mjs';

const browser = withPage();
const withGpu = existsSync(new URL('../../js/dist/gpu/diffem_gpu_bg.wasm', import.meta.url));

const theory = () => browser.page.evaluate(() => ({ start: document.querySelector('diffem-theory').start, ...document.querySelector('diffem-theory').run }));

test('corrupted data: sliders, hovering and the selected observation', async () => {
  const { page } = browser;
  await see(page, '#fig-1 canvas.plane');
  await shot(page, 'fig-1-initial', '#fig-1');
  await page.locator('#fig-1 input[name=shown]').fill('1');
  await page.locator('#fig-1 canvas.plane').hover({ position: { x: 150, y: 120 } });
  const chosen = await page.evaluate(() => document.querySelector('diffem-manifold').session.selected);
  await page.locator('#fig-1 canvas.plane').hover({ position: { x: 300, y: 320 } });
  assert.notEqual(await page.evaluate(() => document.querySelector('diffem-manifold').session.selected), chosen);
  await page.locator('#fig-1 input[name=truth]').check();
  await shot(page, 'fig-1-running', '#fig-1');
  await page.locator('#fig-1 input[name=noise]').fill('0.3');
  await page.waitForFunction(() => document.querySelector('diffem-manifold').session.config.noise === 0.3 && document.querySelector('diffem-manifold').session.status === 'paused');
  await shot(page, 'fig-1-finished', '#fig-1');
  await page.waitForFunction(() => /noise=0\.3/.test(location.search));
});

test('theory: the published numbers, and a narrow start that barely moves', async () => {
  const { page } = browser;
  await see(page, '#fig-4');
  await shot(page, 'fig-4-initial', '#fig-4');
  const wide = await theory();
  // The values of laps 1 to 3 and the KL divergences of laps 0 to 4 were computed by hand for s* = n = 1 and
  // s_0 = 10.
  [2.56198, 1.75392, 1.44812].forEach((s, k) => assert.ok(Math.abs(wide.variance[k + 1] - s) < 1e-4));
  [0.443283, 0.069328, 0.023058, 0.009563, 0.00442].forEach((kl, k) => assert.ok(Math.abs(wide.kl[k] - kl) < 1e-5));
  await page.locator('#fig-4').getByRole('button', { name: 'too narrow' }).click();
  await page.waitForFunction(() => document.querySelector('diffem-theory').run.start < 1);
  await page.locator('#fig-4 input[name=lap]').fill('5');
  await shot(page, 'fig-4-running', '#fig-4');
  await page.locator('#fig-4 input[name=lap]').fill('40');
  const narrow = await theory();
  assert.ok(narrow.variance[40] < 4 * narrow.variance[0], 'a narrow start barely moves');
  await shot(page, 'fig-4-finished', '#fig-4');
  await page.locator('#fig-4 input[name=noise]').fill('0.2');
  await page.waitForFunction((n) => document.querySelector('diffem-theory').run.noise !== n, narrow.noise);
  let sum = 0;
  const moved = await theory();
  moved.kl.forEach((kl, k) => {
    sum += kl;
    assert.ok(sum / (k + 1) <= moved.bound[k] + 1e-12, `bound of lap ${k}`);
  });
});

const sampled = () => browser.page.waitForFunction(() => {
  const { model, coming } = document.querySelector('diffem-posterior');
  return !coming && model.draws && !model.busy;
});

test('pictures: example, painted mask, rate, draws and intervals', async (t) => {
  const { page, log } = browser;
  await see(page, '#fig-5 canvas');
  await sampled();
  await shot(page, 'fig-5-initial', '#fig-5');
  const box = await page.locator('#fig-5 canvas.paint').boundingBox();
  await page.mouse.move(box.x + box.width * 0.2, box.y + box.height * 0.3);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.8, box.y + box.height * 0.4, { steps: 8 });
  await page.mouse.up();
  await page.waitForFunction(() => document.querySelector('diffem-posterior').model.busy);
  await shot(page, 'fig-5-running', '#fig-5');
  await sampled();
  await shot(page, 'fig-5-finished', '#fig-5');
  const fit = await page.evaluate(observedFit);
  t.diagnostic(`observed pixels: root mean square ${fit.seen.toFixed(3)}; hidden pixels: deviation of the draws ${fit.hidden.toFixed(3)}`);
  assert.ok(fit.seen < 0.4, 'draws agree with observed pixels');
  assert.ok(fit.hidden > 2 * fit.seen, 'draws differ in hidden pixels');
  await page.locator('#fig-5 input[name=rate]').fill('0.8');
  await sampled();
  const hidden = await page.evaluate(() => document.querySelector('diffem-posterior').painter.mask.filter((v) => v === 0).length / document.querySelector('diffem-posterior').painter.mask.length);
  assert.ok(Math.abs(hidden - 0.8) < 0.2);
  await shot(page, 'fig-5-rate', '#fig-5');
  assert.deepEqual(log, []);
});

/**
 * Distance of the draws from the truth in observed pixels, and their spread in hidden ones; runs in the page.
 */
function observedFit() {
  const { model, painter } = document.querySelector('diffem-posterior');
  const [d, n] = [model.d, model.options.draws];
  const sums = { seen: [0, 0], hidden: [0, 0] };
  for (let i = 0; i < d; i += 1) {
    const values = Array.from({ length: n }, (_, k) => model.draws[k * d + i]);
    const center = painter.mask[i] ? model.x[i] : values.reduce((s, v) => s + v, 0) / n;
    const into = painter.mask[i] ? sums.seen : sums.hidden;
    for (const v of values) into[0] += (v - center) ** 2;
    into[1] += n;
  }
  return { seen: Math.sqrt(sums.seen[0] / sums.seen[1]), hidden: Math.sqrt(sums.hidden[0] / Math.max(1, sums.hidden[1])) };
}

test('pictures: the axis of a pixel’s draws covers all of them', async () => {
  const { page } = browser;
  // A draw far outside of the values of pictures, where the last picture has its draws anyway.
  const far = await page.evaluate(async () => {
    const figure = document.querySelector('diffem-posterior');
    const [low, high] = figure.model.range;
    const at = figure.pixel;
    const kept = figure.model.draws[at];
    figure.model.draws[at] = high + 0.7 * (high - low);
    figure.requestUpdate();
    await figure.updateComplete;
    const svg = figure.shadowRoot.querySelector('.interval svg');
    const box = (e) => e.getBoundingClientRect();
    const edges = (name) => [...svg.querySelectorAll(name)].map((e) => [box(e).left, box(e).right]);
    const found = { all: [box(svg).left, box(svg).right], axis: edges('.axis')[0], circles: edges('circle'), texts: edges('text') };
    window.restore = () => {
      figure.model.draws[at] = kept;
      figure.requestUpdate();
    };
    return found;
  });
  await shot(page, 'fig-5-far-draw', '#fig-5');
  await page.evaluate(() => restore());
  assert.equal(far.circles.length, 16);
  for (const [left, right] of far.circles) assert.ok((left + right) / 2 > far.axis[0] - 0.5 && (left + right) / 2 < far.axis[1] + 0.5, `a draw at ${left} beside an axis of ${far.axis}`);
  for (const [left, right] of [...far.circles, ...far.texts]) assert.ok(left >= far.all[0] && right <= far.all[1], `${left} to ${right} beyond ${far.all}`);
});

test('pictures: another model, and the same draws on another device', async (t) => {
  const { page, log } = browser;
  const shown = () => page.evaluate(() => {
    const { model } = document.querySelector('diffem-posterior');
    return { name: model.posterior.info.name, device: model.posterior.info.device, draws: Array.from(model.draws) };
  });
  const visible = () => page.evaluate(() => [...document.querySelectorAll('[data-about]')].filter((p) => !p.hidden).map((p) => p.dataset.about));
  assert.equal((await shown()).name, 'clothing');
  assert.deepEqual(await visible(), ['clothing']);
  const asked = browser.server.asked.length;
  await page.getByRole('button', { name: 'Digits, 8 × 8' }).click();
  await page.waitForFunction(() => document.querySelector('diffem-posterior').model.d === 64);
  await sampled();
  const cpu = await shown();
  assert.deepEqual([cpu.name, cpu.device, cpu.draws.length], ['digits', 'cpu', 16 * 64]);
  assert.deepEqual(await visible(), ['digits']);
  assert.match(page.url(), /model=digits/);
  assert.deepEqual(browser.server.asked.slice(asked), [], 'the page has already fetched the other model');
  await shot(page, 'fig-5-digits', '#fig-5');
  await page.locator('#fig-5 select[name=device]').selectOption('webgpu');
  await page.waitForFunction(() => document.querySelector('diffem-posterior').model.options.device === 'auto');
  await sampled();
  const other = await shown();
  const worst = Math.max(...other.draws.map((v, i) => Math.abs(v - cpu.draws[i])));
  t.diagnostic(`draws on ${other.device}: difference ${worst.toExponential(1)}`);
  assert.equal(other.device, withGpu ? 'webgpu' : 'cpu');
  assert.ok(worst < 1e-4, `${worst}`);
  await page.getByRole('button', { name: 'Clothing' }).click();
  await page.locator('#fig-5 select[name=device]').selectOption('cpu');
  await page.waitForFunction(() => document.querySelector('diffem-posterior').model.d === 784);
  await sampled();
  assert.doesNotMatch(page.url(), /model=/);
  assert.deepEqual(log, []);
});

test('a model of the reader’s own is described by its metadata, and a broken one by its error', async () => {
  const { page, close } = await open(`${browser.server.origin}/?model=digits`);
  await ready(page);
  assert.equal(await page.evaluate(() => document.querySelector('diffem-posterior').model.d), 64);
  for (const own of ['mine', 'mri']) {
    const about = await page.evaluate((name) => {
      const info = { ...document.querySelector('diffem-posterior').model.posterior.info, name };
      document.dispatchEvent(new CustomEvent('diffem-load', { detail: info }));
      return [...document.querySelectorAll('[data-about]')].filter((p) => !p.hidden).map((p) => p.textContent);
    }, own);
    assert.match(about.join(), new RegExp(`the run “${own}” after lap \\d+\\. Its pictures have 8 by 8 pixels`));
  }
  await page.evaluate(() => document.querySelector('diffem-posterior').setAttribute('src', './recorded.json'));
  await page.locator('#fig-5 .status.failed').waitFor();
  assert.match(await page.locator('#fig-5 .status.failed').textContent(), /not a whole safetensors file/);
  await close();
});

test('keyboard: every control can be reached, and keys paint on the picture', async () => {
  const { page } = browser;
  await page.locator('#fig-5 canvas.paint').focus();
  const before = await page.evaluate(() => ({ cursor: document.querySelector('diffem-posterior').pixel, mask: [...document.querySelector('diffem-posterior').painter.mask] }));
  for (const key of ['ArrowRight', 'ArrowUp', 'Space']) await page.keyboard.press(key);
  const now = await page.evaluate(() => ({ cursor: document.querySelector('diffem-posterior').pixel, mask: [...document.querySelector('diffem-posterior').painter.mask] }));
  assert.notEqual(now.cursor, before.cursor);
  assert.equal(now.mask[now.cursor], 0);
  await page.locator('#fig-2 input[name=truth]').focus();
  const reached = new Set();
  for (let i = 0; i < 20; i += 1) {
    reached.add(await page.evaluate(() => {
      const inner = document.activeElement?.shadowRoot?.activeElement;
      return inner ? `${inner.localName}:${inner.getAttribute('name') ?? inner.textContent.trim()}` : document.activeElement?.localName;
    }));
    await page.keyboard.press('Tab');
  }
  for (const name of ['button:Step', 'button:One lap', 'button:Reset', 'select:data', 'select:start', 'input:seed', 'input:truth', 'input:lines']) assert.ok(reached.has(name), `${name} in ${[...reached]}`);
});

test('the address holds the settings and restores them', async () => {
  const { page, close } = await open(`${browser.server.origin}/?seed=3&start=wide&s0=0.05`);
  await page.waitForFunction(() => document.querySelector('diffem-manifold')?.session?.data);
  const { seed, start } = await page.evaluate(() => document.querySelector('diffem-manifold').session.config);
  assert.deepEqual({ seed, start }, { seed: 3, start: 'wide' });
  assert.equal(await page.evaluate(() => document.querySelector('diffem-theory').start), 0.05);
  await close();
});

test('reduced motion: points move only when a lap ends', async () => {
  const { page, close } = await open(`${browser.server.origin}/`, { reducedMotion: 'reduce' });
  await ready(page);
  await see(page, '#fig-2 canvas.plane');
  await page.getByRole('button', { name: 'Play', exact: true }).click();
  await page.waitForFunction(() => document.querySelector('diffem-manifold').session.live?.cloud);
  const still = await page.evaluate(() => document.querySelector('diffem-manifold').drawn === document.querySelector('diffem-manifold').session.shown.cloud);
  assert.ok(still);
  await see(page, '#fig-3 canvas.plane');
  assert.ok(await page.locator('#fig-3').getByRole('button', { name: 'Next σ' }).isVisible() || await page.locator('#fig-3').getByRole('button', { name: 'Train one lap first' }).isVisible());
  await close();
});
