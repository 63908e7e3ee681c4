// What a reader downloads before the first live lap.
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { brotliCompressSync } from 'node:zlib';
import { see, site, withPage } from './browser.mjs';

/** Bytes of the page without the module: text, styles, scripts, fonts and the recorded run. */
const PAGE = 250_000;
/** Bytes of a script, a style sheet, a text or data as a server sends it. Fonts are compressed already. */
const sent = (path) => (path.endsWith('.woff2') ? statSync(join(site, path)).size : brotliCompressSync(readFileSync(join(site, path === '/' ? 'index.html' : path))).length);

const browser = withPage();

test('the page without its module is small', async (t) => {
  const { page, server } = browser;
  await see(page, '#fig-2 canvas.plane');
  await page.getByRole('button', { name: 'Play', exact: true }).click();
  await page.waitForFunction(() => laps.length >= 1);
  // The models of the last figure come after the page.
  const paths = [...new Set(server.asked)].filter((path) => !/\.(wasm|safetensors)$/.test(path));
  const sizes = paths.map((path) => [path, sent(path)]);
  for (const [path, bytes] of sizes) t.diagnostic(`${path}: ${(bytes / 1000).toFixed(1)} kB`);
  const total = sizes.reduce((sum, [, bytes]) => sum + bytes, 0);
  t.diagnostic(`${(total / 1000).toFixed(1)} kB in all`);
  assert.ok(total <= PAGE, `${total} bytes`);
});
