// The built page in WebKit, the engine of Safari: it runs, and what it computes has the bits that Chromium computes.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { Builder } from 'selenium-webdriver';
import { screens, serve } from './browser.mjs';
import { drawsInChromium, drawsShown, lapInChromium, lapShown, lapped, sampled } from './shown.mjs';

const driver = '/usr/bin/WebKitWebDriver';
const binary = process.env.DIFFEM_WEBKIT ?? '/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser';
const missing = [driver, binary, '/usr/bin/xvfb-run', '/usr/bin/xauth'].find((path) => !existsSync(path));
const skip = missing && `${missing} is not installed; apt-get install webkit2gtk-driver xvfb xauth`;
/** A busy machine is slow but correct, so waits are long. */
const PATIENCE = 300_000;

let [server, daemon, webkit] = [];
before(async () => {
  if (skip) return;
  server = await serve();
  const port = await freePort();
  // In a group of its own, which holds the display and the browser as well.
  daemon = spawn('xvfb-run', ['-a', driver, `--port=${port}`], { detached: true, stdio: 'ignore' });
  const address = `http://127.0.0.1:${port}`;
  while (!(await fetch(`${address}/status`).catch(() => false))) {
    assert.equal(daemon.exitCode, null, 'the driver of WebKit has ended');
    await new Promise((wait) => setTimeout(wait, 200));
  }
  const capabilities = { browserName: 'MiniBrowser', 'webkitgtk:browserOptions': { binary, args: ['--automation'] } };
  webkit = await new Builder().usingServer(address).withCapabilities(capabilities).build();
  await webkit.manage().window().setRect({ width: 1100, height: 900 });
  await webkit.get(`${server.origin}/`);
});
after(async () => {
  await webkit?.quit();
  if (daemon) process.kill(-daemon.pid);
});

/** A port that was free just now. */
const freePort = () => new Promise((resolve) => {
  const probe = createServer().listen(0, '127.0.0.1', () => {
    const { port } = probe.address();
    probe.close(() => resolve(port));
  });
});

const inside = (work, ...args) => webkit.executeScript(work, ...args);
const until = (condition, ...args) => webkit.wait(() => inside(condition, ...args), PATIENCE, String(condition), 300);
const center = (selector) => inside((s) => document.querySelector(s).scrollIntoView({ block: 'center', behavior: 'instant' }), selector);
const shot = async (name) => {
  mkdirSync(screens, { recursive: true });
  writeFileSync(`${screens}${name}.png`, await webkit.takeScreenshot(), 'base64');
};

test('a lap of live training has the bits of Chromium', { skip }, async (t) => {
  await center('#fig-2');
  await until(() => Boolean(document.querySelector('diffem-manifold')?.shadowRoot?.querySelector('canvas.plane')));
  await inside(() => [...document.querySelector('diffem-manifold').shadowRoot.querySelectorAll('button')].find((b) => b.textContent.trim() === 'One lap').click());
  await until(lapped);
  const here = await inside(lapShown);
  await shot('webkit-lap');
  assert.deepEqual(await lapInChromium(`${server.origin}/`), here);
  t.diagnostic(`${here[1].length} numbers after a lap have the same bits`);
});

test('posterior draws have the bits of Chromium', { skip }, async (t) => {
  await center('#fig-5');
  await until(sampled);
  const here = await inside(drawsShown);
  await shot('webkit-draws');
  assert.deepEqual(await drawsInChromium(`${server.origin}/`), here);
  t.diagnostic(`${here.length} numbers have the same bits`);
});
