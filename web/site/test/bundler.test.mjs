// The package in another page, built by a bundler.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { open, serve } from './browser.mjs';

const MAIN = `
import { LiveTraining } from 'diffem';

const training = await LiveTraining.create({ data: 'heart', observations: 128, noise: 0.05, laps: 1, steps: 20 }, 0);
const { lap } = await training.lap();
document.body.textContent = 'laps done: ' + lap;
`;

test('Vite bundles a page that trains', async (t) => {
  // The page is inside this folder, so that the bundler finds the package.
  const root = fileURLToPath(new URL('../out/bundled/', import.meta.url));
  mkdirSync(root, { recursive: true });
  writeFileSync(join(root, 'index.html'), '<!doctype html><html lang="en"><title>A page</title><link rel="icon" href="data:,"><body><script type="module" src="./main.js"></script></body></html>');
  writeFileSync(join(root, 'main.js'), MAIN);
  await build({ root, configFile: false, logLevel: 'error', base: './', worker: { format: 'es' }, build: { target: 'es2022', emptyOutDir: true } });
  const server = await serve({ '/': join(root, 'dist/') });
  t.after(() => server.close());
  const { page, log, close } = await open(`${server.origin}/`);
  t.after(close);
  await page.waitForFunction(() => document.body.textContent.includes('laps done'));
  assert.equal((await page.textContent('body')).trim(), 'laps done: 1');
  assert.deepEqual(log, []);
});
