// The bench page: it measures, its table can be copied, and it is accessible, dark and narrow.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { before, test } from 'node:test';
import { open, serve, shot } from './browser.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
let server;
before(async () => (server = await serve()));

test('the page’s foot leads to it', async () => {
  const { page, close } = await open(`${server.origin}/`);
  await page.getByRole('link', { name: 'How fast is it on your machine?' }).click();
  await page.getByRole('button', { name: 'Measure' }).waitFor();
  assert.match(page.url(), /bench\.html$/);
  await close();
});

test('it measures draws and training steps, and the table can be copied', async (t) => {
  const { page, context, close, log } = await open(`${server.origin}/bench.html?rounds=1&workers=2&webgpu=0`, { colorScheme: 'dark' });
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: server.origin });
  await shot(page, 'bench-initial');
  await page.getByRole('button', { name: 'Measure' }).click();
  await page.getByText('All is measured.').waitFor();
  const rows = await page.locator('tbody tr').evaluateAll((found) => found.map((row) => [...row.cells].map((cell) => cell.textContent)));
  assert.deepEqual(rows.map(([work, device]) => `${work}, ${device}`), [
    '16 draws of clothing, CPU, 1 worker', '16 draws of clothing, CPU, 2 workers',
    '16 draws of digits, CPU, 1 worker', '16 draws of digits, CPU, 2 workers', '25 training steps, CPU, 1 worker',
  ]);
  for (const [work, device, seconds, rate] of rows) {
    t.diagnostic(`${work}, ${device}: ${seconds} s, ${rate} per second`);
    const [count] = work.split(' ');
    assert.ok(Math.abs((Number(seconds) * Number(rate)) / Number(count) - 1) < 0.1, `${rate} per second and ${seconds} s for ${work}`);
  }
  await page.getByRole('button', { name: 'Copy the table' }).click();
  await page.getByText('The table has been copied.').waitFor();
  const copied = (await page.evaluate(() => navigator.clipboard.readText())).split('\n');
  assert.deepEqual(copied.slice(0, 2), ['work\tdevice\tseconds\tper second', rows[0].join('\t')]);
  assert.match(copied.at(-1), /logical cores; without WebGPU/);
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
  assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' '))}`), []);
  assert.ok(passes.length > 10, 'axe looked');
  await shot(page, 'bench-dark');
  await page.setViewportSize({ width: 360, height: 740 });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'it scrolls sideways');
  await shot(page, 'bench-360');
  assert.deepEqual(log, []);
  await close();
});
