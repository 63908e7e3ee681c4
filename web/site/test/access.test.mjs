// Accessibility, narrow screens, dark and light color schemes, and the elements in another page.
import assert from 'node:assert/strict';
import { readFileSync, mkdtempSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { FIGURES, open, ready, see, serve, shot, site } from './browser.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
let server;
before(async () => (server = await serve()));

/** Resolves when every figure is drawn and has finished the sampling that it starts by itself. */
async function settle(page) {
  await ready(page);
  // The tests look at the whole page, including the sections that are far off the screen.
  await page.addStyleTag({ content: 'section { content-visibility: visible !important }' });
  for (const id of Object.keys(FIGURES)) await see(page, `#${id}`);
  await page.waitForFunction(() => document.querySelector('diffem-posterior').model.draws && !document.querySelector('diffem-posterior').model.busy);
}

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds nothing, ${colorScheme}`, async () => {
    const { page, close, log } = await open(`${server.origin}/`, { colorScheme });
    await settle(page);
    await page.evaluate(axe);
    const { violations, passes } = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
    assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).slice(0, 4)}`), []);
    assert.ok(passes.length > 20, 'axe looked');
    await shot(page, `page-${colorScheme}`);
    for (const id of Object.keys(FIGURES)) await shot(page, `${id}-${colorScheme}`, `#${id}`);
    assert.deepEqual(log, []);
    await close();
  });
}

test('360 px: nothing is cut off and nothing scrolls sideways', async () => {
  const { page, close, log } = await open(`${server.origin}/`, { width: 360, height: 740, hasTouch: true, isMobile: true, deviceScaleFactor: 2 });
  await settle(page);
  const { wide, view } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, view: innerWidth }));
  assert.ok(wide <= view, `page ${wide} px wide in a window of ${view}`);
  await shot(page, 'page-360');
  for (const id of Object.keys(FIGURES)) await shot(page, `${id}-360`, `#${id}`);
  const line = page.locator('#fig-1 canvas.plane');
  await see(page, '#fig-1 canvas.plane');
  const before = await page.evaluate(() => document.querySelector('diffem-manifold').session.selected);
  await line.tap({ position: { x: 60, y: 60 } });
  // The browser turns the tap into a click a little later.
  await page.waitForFunction((i) => document.querySelector('diffem-manifold').session.selected !== i, before);
  assert.deepEqual(log, []);
  await close();
});

test('one script tag and one element, in a page of another folder', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'embed-'));
  writeFileSync(join(folder, 'post.html'), '<!doctype html><html lang="en"><title>A post</title><h1>A post</h1><script type="module" src="/vendor/diffem/diffem-elements.js"></script><diffem-manifold start="wide" seed="3"><p>poster</p></diffem-manifold></html>');
  const other = await serve({ '/blog/': `${folder}/`, '/vendor/diffem/': join(site, 'diffem/') });
  const { page, close, log } = await open(`${other.origin}/blog/post.html`);
  await page.waitForFunction(() => document.querySelector('diffem-manifold')?.session?.data);
  await page.getByRole('button', { name: 'Play', exact: true }).click();
  await page.waitForFunction(() => laps.length >= 1);
  await shot(page, 'embed');
  assert.deepEqual(other.asked.filter((p) => !p.startsWith('/blog/') && !p.startsWith('/vendor/diffem/') && p !== '/favicon.ico'), []);
  assert.deepEqual(log.filter((l) => !l.includes('404')), []);
  await close();
  await other.close();
});

test('the elements come from another origin', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'embed-'));
  writeFileSync(join(folder, 'post.html'), `<!doctype html><html lang="en"><title>A post</title><script type="module" src="${server.origin}/diffem/diffem-elements.js"></script><diffem-manifold seed="3"></diffem-manifold></html>`);
  const other = await serve({ '/': `${folder}/` });
  const { page, close } = await open(`${other.origin}/post.html`);
  await page.waitForFunction(() => document.querySelector('diffem-manifold')?.session?.data);
  await page.getByRole('button', { name: 'Play', exact: true }).click();
  await page.waitForFunction(() => laps.length >= 1);
  await close();
  await other.close();
});

test('an iframe shows the figure that its address names', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'embed-'));
  const frame = (id, query) => `<iframe id="${id}" title="${id}" src="${server.origin}/embed.html?${query}" width="720" height="900"></iframe>`;
  writeFileSync(join(folder, 'post.html'), `<!doctype html><html lang="en"><title>A post</title><link rel="icon" href="data:,">${frame('drawn', 'data=drawn&seed=3#curve=AAgDA')}${frame('digits', 'figure=posterior&src=digits.safetensors&draws=4')}</html>`);
  const other = await serve({ '/': `${folder}/` });
  const { page, close, log } = await open(`${other.origin}/post.html`);
  const inside = async (id) => (await page.locator(`#${id}`).elementHandle()).contentFrame();
  const drawn = await inside('drawn');
  await drawn.waitForFunction(() => document.querySelector('diffem-manifold')?.session?.data);
  const { data, seed, drawing } = await drawn.evaluate(() => document.querySelector('diffem-manifold').session.config);
  assert.deepEqual({ data, seed, drawing }, { data: 'drawn', seed: 3, drawing: 'AAgDA' });
  await see(page, '#digits');
  const digits = await inside('digits');
  await digits.waitForFunction(() => document.querySelector('diffem-posterior')?.model?.draws?.length === 4 * 64);
  await shot(page, 'iframes');
  assert.deepEqual(log, []);
  await close();
  await other.close();
});

test('where WebAssembly is missing, the author’s poster is shown', async () => {
  const { page, context, close } = await open('about:blank');
  await context.addInitScript(() => delete globalThis.WebAssembly);
  await page.goto(`${server.origin}/`);
  await page.waitForFunction(() => customElements.get('diffem-manifold'));
  await see(page, '#fig-2');
  assert.ok(await page.locator('#fig-2 .poster').isVisible());
  await shot(page, 'fig-2-poster', '#fig-2');
  await close();
});
