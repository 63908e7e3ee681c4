// The widget of notebooks (native/python/diffem/widget.js) with the built figures, in a page that serves none of them.
import assert from 'node:assert/strict';
import { mkdtempSync, copyFileSync, writeFileSync, readFileSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { open, serve, shot, site } from './browser.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

test('the widget shows a run from its bytes alone', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'notebook-'));
  copyFileSync(here('../../../native/python/diffem/widget.js'), join(folder, 'widget.js'));
  writeFileSync(join(folder, 'index.html'), '<!doctype html><html lang="en"><title>A notebook</title><link rel="icon" href="data:,"><main></main></html>');
  const server = await serve({ '/': `${folder}/` });
  const { page, close, log } = await open(`${server.origin}/`);
  const base64 = (path) => readFileSync(path).toString('base64');
  const files = Object.fromEntries(readdirSync(join(site, 'diffem')).map((name) => [name, base64(join(site, 'diffem', name))]));
  await page.evaluate(async ({ files, checkpoint }) => {
    const bytes = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
    const traits = { files: Object.fromEntries(Object.entries(files).map(([name, text]) => [name, bytes(text)])), checkpoint: bytes(checkpoint), draws: 8 };
    const { default: widget } = await import('./widget.js');
    const model = { get: (name) => traits[name] };
    const el = document.querySelector('main');
    globalThis.ends = [await widget.render({ model, el }), await widget.render({ model, el })];
  }, { files, checkpoint: base64(here('../public/digits.safetensors')) });
  await page.waitForFunction(() => [...document.querySelectorAll('diffem-posterior')].every((figure) => figure.model?.draws && !figure.model.busy && figure.model.seconds));
  assert.deepEqual(await page.evaluate(() => [...document.querySelectorAll('diffem-posterior')].map(({ model }) => model.draws.length)), [8 * 64, 8 * 64]);
  await shot(page, 'notebook', 'diffem-posterior');
  await page.evaluate(() => globalThis.ends.forEach((end) => end()));
  assert.equal(await page.locator('diffem-posterior').count(), 0);
  assert.deepEqual(server.asked.filter((path) => !['/', '/widget.js'].includes(path)), [], 'nothing else is requested');
  assert.deepEqual(log, []);
  await close();
  await server.close();
});
