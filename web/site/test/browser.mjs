// A server for the built site and a browser that opens it.
import { createReadStream, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, before } from 'node:test';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

/**
 * Attempts at work without long tasks: a busy machine blocks the page in some of them, a slow page in all.
 */
export const TRIES = 3;

export const site = fileURLToPath(new URL('../dist/', import.meta.url));
export const screens = fileURLToPath(new URL('../out/screens/', import.meta.url));

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.wasm': 'application/wasm', '.json': 'application/json', '.woff2': 'font/woff2' };
const FLAGS = ['--headless=new', '--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--enable-unsafe-webgpu', '--hide-scrollbars'];

/** Timeout of every wait, in ms. */
const PATIENCE = 300_000;

/**
 * Servers and browsers that are still open; one left open by a failed test would keep its file from ending.
 */
const closing = new Set();
after(() => Promise.all([...closing].map((close) => close())));
const atEnd = (close) => (closing.add(close), close);

/**
 * Serves `routes`, from path prefix to folder, on a free port of this machine and records the requested
 * paths.
 */
export async function serve(routes = { '/': site }) {
  const asked = [];
  const prefixes = Object.keys(routes).sort((a, b) => b.length - a.length);
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, 'http://localhost').pathname));
    asked.push(path);
    const prefix = prefixes.find((p) => path.startsWith(p));
    const file = prefix && join(routes[prefix], path.slice(prefix.length) || 'index.html');
    if (!file || !existsSync(file) || !statSync(file).isFile()) return response.writeHead(404).end();
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream', 'content-length': statSync(file).size, 'cache-control': caching(path), 'access-control-allow-origin': '*' });
    return createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  const close = atEnd(() => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))));
  return { origin, asked, close };
}

/** Static hosts cache likewise, because files with a hash in their names never change. */
const caching = (path) => (/-[\w-]{8,}\.\w+$/.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache');

/** Opens a page in a fresh browser; `log` collects the errors that the page reports. */
export async function open(url, { width = 1100, height = 900, ...options } = {}) {
  const profile = mkdtempSync(join(tmpdir(), 'site-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.DIFFEM_CHROMIUM ?? '/usr/bin/chromium',
    headless: false,
    args: FLAGS,
    viewport: { width, height },
    ...options,
  });
  // A busy machine is slow but correct, so waits are long.
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const log = [];
  page.on('pageerror', (error) => log.push(`error: ${error.message}`));
  page.on('console', (message) => message.type() === 'error' && log.push(`console: ${message.text()}`));
  await page.addInitScript(observe);
  await page.goto(url);
  const close = atEnd(async () => (await context.close(), rmSync(profile, { recursive: true, force: true })));
  return { page, context, log, close };
}

/** Opens a server and a page for all tests of a file before the first test runs. */
export function withPage() {
  const shared = {};
  before(async () => {
    shared.server = await serve();
    Object.assign(shared, await open(`${shared.server.origin}/`));
    await ready(shared.page);
  });
  return shared;
}

/** Runs in the page before anything else and records long tasks and the ends of laps. */
function observe() {
  globalThis.longTasks = [];
  new PerformanceObserver((list) => longTasks.push(...list.getEntries().map((e) => ({ at: e.startTime, ms: e.duration })))).observe({ type: 'longtask', buffered: true });
  globalThis.laps = [];
  addEventListener('diffem-lap', (event) => laps.push({ at: performance.now(), ...event.detail }));
}

/** Saves a screenshot of `selector`, or of the whole page. */
export async function shot(page, name, selector) {
  mkdirSync(screens, { recursive: true });
  const path = join(screens, `${name}.png`);
  if (selector) {
    const target = page.locator(selector).first();
    await target.scrollIntoViewIfNeeded();
    await page.waitForTimeout(250);
    await target.screenshot({ path });
  } else await page.screenshot({ path, fullPage: true });
}

/** Scrolls to `selector`, because figures start work once they are visible. */
export async function see(page, selector) {
  await page.locator(selector).first().scrollIntoViewIfNeeded();
  await page.waitForTimeout(150);
}

export const FIGURES = { 'fig-1': 'diffem-corruption', 'fig-2': 'diffem-manifold', 'fig-3': 'diffem-draws', 'fig-4': 'diffem-theory', 'fig-5': 'diffem-posterior' };

/** Resolves when every figure has drawn something and the models are loaded. */
export async function ready(page) {
  for (const name of ['diffem-corruption', 'diffem-manifold', 'diffem-draws', 'diffem-theory']) {
    await page.waitForFunction((n) => document.querySelector(n)?.shadowRoot?.querySelector('canvas, svg'), name);
  }
  await page.waitForFunction(() => document.querySelector('diffem-posterior')?.model?.ready);
}
