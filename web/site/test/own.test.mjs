// Files of the reader's own in the figure of pictures: pictures, observations, checkpoints, and what is none of these.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { deflateRawSync, deflateSync } from 'node:zlib';
import { see, shot, withPage } from './browser.mjs';

const browser = withPage();

const CRC = Uint32Array.from({ length: 256 }, (_, n) => Array.from({ length: 8 }).reduce((c) => (c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1), n));
const crc = (bytes) => (~bytes.reduce((c, b) => CRC[(c ^ b) & 255] ^ (c >>> 8), -1)) >>> 0;

/** A PNG of `rows`, each with its filter byte. */
function png(width, height, depth, color, rows) {
  const chunk = (kind, data) => {
    const body = Buffer.concat([Buffer.from(kind), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc(body));
    return Buffer.concat([length, body, sum]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([depth, color], 8);
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', head), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]);
}

/** A bright shirt before black, 300 by 200, whose middle rows are transparent. */
function shirt() {
  const [width, height] = [300, 200];
  const rows = Buffer.alloc(height * (1 + 4 * width));
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const [u, v] = [Math.abs(x - 150) / 100, y / 200];
      const inside = v > 0.08 && v < 0.94 && (u < 0.5 || (v < 0.42 && u < 0.95 - 0.3 * v)) && !(v < 0.16 && u < 0.16);
      const at = y * (1 + 4 * width) + 1 + 4 * x;
      rows.set([inside ? 230 : 0, inside ? 210 : 0, inside ? 190 : 0, v > 0.5 && v < 0.7 ? 0 : 255], at);
    }
  }
  return png(width, height, 8, 6, rows);
}

/** An npy array of NumPy. */
function npy(type, shape, values) {
  const header = `{'descr': '${type}', 'fortran_order': False, 'shape': (${shape.join(', ')}${shape.length === 1 ? ',' : ''}), }`;
  const padded = header.padEnd(128 - 10 - 1) + '\n';
  const length = Buffer.alloc(2);
  length.writeUInt16LE(padded.length);
  return Buffer.concat([Buffer.from('\x93NUMPY\x01\x00', 'latin1'), length, Buffer.from(padded), Buffer.from(values.buffer, values.byteOffset, values.byteLength)]);
}

/** A zip archive with the extra field of np.savez in the headers of its members. */
function npz(arrays, pack) {
  const [files, directory] = [[], []];
  let at = 0;
  for (const [name, raw] of Object.entries(arrays)) {
    const [data, path] = [pack ? deflateRawSync(raw) : raw, Buffer.from(`${name}.npy`)];
    const common = Buffer.alloc(26);
    common.writeUInt16LE(45, 0);
    common.writeUInt16LE(pack ? 8 : 0, 4);
    common.writeUInt32LE(crc(raw), 10);
    common.writeUInt32LE(data.length, 14);
    common.writeUInt32LE(raw.length, 18);
    common.writeUInt16LE(path.length, 22);
    const local = Buffer.from(common);
    local.writeUInt16LE(20, 24);
    files.push(Buffer.from('PK\x03\x04', 'latin1'), local, path, Buffer.alloc(20), data);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(at, 10);
    directory.push(Buffer.from('PK\x01\x02\x2d\x03', 'latin1'), common, place, path);
    at += 30 + path.length + 20 + data.length;
  }
  const listed = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(Object.keys(arrays).length, 8);
  end.writeUInt16LE(Object.keys(arrays).length, 10);
  end.writeUInt32LE(listed.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...files, listed, end]);
}

const figure = () => browser.page.locator('#fig-5');
const choose = (name, buffer) => figure().locator('input[name=own]').setInputFiles({ name, mimeType: 'application/octet-stream', buffer });
const sampled = () => browser.page.waitForFunction(() => {
  const { model, coming } = document.querySelector('diffem-posterior');
  return !coming && model.draws && !model.busy;
});
const said = async (message) => {
  const status = figure().locator('.status.failed');
  await status.waitFor();
  await browser.page.waitForFunction((text) => document.querySelector('diffem-posterior').shadowRoot.querySelector('.status.failed')?.textContent.includes(text), message);
  return status.textContent();
};
const state = () => browser.page.evaluate(() => {
  const { model, painter } = document.querySelector('diffem-posterior');
  return { x: model.x && [...model.x], mask: [...painter.mask], known: model.known && [...model.known], y: [...model.observation.y], draws: [...model.draws], own: model.own.length, d: model.d, name: model.posterior.info.name };
});

test('a picture of the reader’s own is scaled, and what is transparent is missing', async (t) => {
  const { page, log, server } = browser;
  await see(page, '#fig-5 canvas');
  await sampled();
  const asked = server.asked.length;
  await choose('shirt.png', shirt());
  await page.waitForFunction(() => document.querySelector('diffem-posterior').model.own.length === 1);
  await sampled();
  await shot(page, 'fig-5-own', '#fig-5');
  const { x, mask, known, y, draws } = await state();
  assert.deepEqual(mask, known);
  const row = (values, r) => values.slice(28 * r, 28 * (r + 1));
  assert.ok(row(mask, 16).every((v) => v === 0) && row(mask, 4).every((v) => v === 1), 'the transparent rows are missing');
  // 230, 210, 190 have the luma 213 of 255, and black is -2.
  assert.ok(Math.abs(row(x, 10)[14] - (4 * 213.1) / 255 + 2) < 0.02, `${row(x, 10)[14]}`);
  assert.equal(row(x, 1)[0], -2);
  let [sum, n] = [0, 0];
  for (let i = 0; i < draws.length; i += 1) if (mask[i % 784]) [sum, n] = [sum + (draws[i] - y[i % 784]) ** 2, n + 1];
  t.diagnostic(`draws differ from observed pixels by ${Math.sqrt(sum / n).toFixed(3)}`);
  assert.ok(Math.sqrt(sum / n) < 0.05);
  await figure().getByRole('button', { name: 'Uncover all' }).click();
  await page.waitForTimeout(500);
  await sampled();
  assert.deepEqual((await state()).mask, known, 'there is nothing to uncover');
  await figure().locator('input[name=rate]').fill('0.8');
  await page.waitForFunction(() => document.querySelector('diffem-posterior').painter.mask.filter((v) => v).length < 250);
  await sampled();
  const thinned = (await state()).mask;
  assert.ok(thinned.every((v, i) => v <= known[i]) && thinned.filter((v) => v).length < 250);
  await figure().getByRole('button', { name: 'Invert' }).click();
  await page.waitForFunction(() => document.querySelector('diffem-posterior').model.x[0] === 2);
  await figure().getByRole('button', { name: 'Invert' }).click();
  await page.waitForFunction(() => document.querySelector('diffem-posterior').model.x[0] === -2);
  assert.deepEqual(server.asked.slice(asked), [], 'the picture leaves the machine nowhere');
  assert.deepEqual(log, []);
});

test('a JPEG is pasted, and the page’s pictures come back', async () => {
  const { page, log } = browser;
  await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(640, 480);
    const g = canvas.getContext('2d');
    g.fillStyle = '#ccc';
    g.fillRect(220, 60, 200, 360);
    const data = new DataTransfer();
    data.items.add(new File([await canvas.convertToBlob({ type: 'image/jpeg' })], 'pasted.jpg'));
    document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data }));
  });
  await page.waitForFunction(() => document.querySelector('diffem-posterior').model.x[14 * 28 + 14] > 1);
  await sampled();
  const { x, known, mask } = await state();
  assert.equal(known, undefined);
  assert.ok(x[0] < -1.9 && mask.some((v) => v === 0), 'pixels are hidden at random');
  await figure().getByRole('button', { name: 'Back to the page’s' }).click();
  await page.waitForFunction(() => document.querySelector('diffem-posterior').model.own.length === 0);
  await sampled();
  assert.deepEqual(log, []);
});

test('observations of the reader’s own are sampled', async () => {
  const { page, log } = browser;
  const { x, y, mask } = await state();
  const rows = (values) => Float32Array.from([...values, ...values.map((v) => v / 2)]);
  for (const pack of [false, true]) {
    await choose('mine.npz', npz({ y: npy('<f4', [2, 784], rows(y)), a: npy('<f8', [2, 1, 28, 28], Float64Array.from([...mask, ...mask])) }, pack));
    await page.waitForFunction(() => document.querySelector('diffem-posterior').model.own.length === 2);
    await sampled();
    const now = await state();
    assert.deepEqual([now.x, now.mask], [undefined, mask]);
    assert.equal(await figure().locator('[data-map=truth]').count(), 0);
    assert.ok(now.y.every((v, i) => v === y[i]));
    await shot(page, 'fig-5-observations', '#fig-5');
    await figure().getByRole('button', { name: 'Back to the page’s' }).click();
    await page.waitForFunction(() => document.querySelector('diffem-posterior').model.own.length === 0);
  }
  const floats = Buffer.from(Float32Array.from([...y, ...mask, ...x]).buffer);
  const header = JSON.stringify(Object.fromEntries(['y', 'a', 'x'].map((key, i) => [key, { dtype: 'F32', shape: [1, 784], data_offsets: [3136 * i, 3136 * (i + 1)] }])));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  await choose('mine.safetensors', Buffer.concat([length, Buffer.from(header), floats]));
  await page.waitForFunction(() => document.querySelector('diffem-posterior').model.own.length === 1);
  await sampled();
  assert.deepEqual((await state()).x, x);
  assert.deepEqual(log, []);
});

test('a checkpoint of the reader’s own takes the place of the page’s', async () => {
  const { page, log } = browser;
  const digits = readFileSync(new URL('../public/digits.safetensors', import.meta.url));
  await choose('mine.safetensors', digits);
  await page.waitForFunction(() => document.querySelector('diffem-posterior').model.d === 64);
  await sampled();
  assert.match(await page.locator('[data-about=""]').textContent(), /the run “digits” after lap \d+/);
  assert.equal(await page.locator('.choices [aria-pressed=true]').count(), 0);
  await choose('small.png', shirt());
  await page.waitForFunction(() => document.querySelector('diffem-posterior').model.own.length === 1);
  await sampled();
  await page.getByRole('button', { name: 'Clothing, 28 × 28' }).click();
  await page.waitForFunction(() => document.querySelector('diffem-posterior').model.d === 784 && document.querySelector('diffem-posterior').model.own.length === 0);
  await sampled();
  assert.deepEqual(log, []);
});

test('a file of no use gets one sentence, and the figure goes on', async () => {
  const { page, log } = browser;
  const before = await state();
  const checkpoint = readFileSync(new URL('../public/digits.safetensors', import.meta.url));
  const newer = Buffer.from(checkpoint.toString('latin1').replace('\\"format_version\\":1', '\\"format_version\\":9'), 'latin1');
  const huge = png(10_000, 10_000, 1, 0, Buffer.alloc(10_000 * 1251));
  const files = [
    ['huge.png', huge, 'huge.png: expected at most 40 megapixels, found 10000 × 10000; make the picture smaller first'],
    ['drawing.svg', Buffer.from('<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>'), 'drawing.svg: expected a PNG or JPEG picture; an SVG has no pixels, so export it as PNG first'],
    ['notes.png', Buffer.from('Dear diary'), 'notes.png: expected a PNG or JPEG picture, or .npz or .safetensors with observations or a checkpoint; the content is none of these'],
    ['wrong.npz', npz({ y: npy('<f4', [3, 100], new Float32Array(300)) }), 'wrong.npz: expected y of shape [n, 784], found [3, 100]'],
    ['other.npz', npz({ z: npy('<f4', [3, 100], new Float32Array(300)) }), 'other.npz: expected observations y of shape [n, 784] and a of shape [n, 784], found no y'],
    ['cut.npz', npz({ y: npy('<f4', [1, 784], new Float32Array(784)) }).subarray(0, 900), 'cut.npz: the file is damaged or not complete'],
    ['cut.png', shirt().subarray(0, 300), 'cut.png: the picture cannot be decoded; it is damaged or not complete'],
    ['newer.safetensors', newer, 'newer.safetensors: checkpoint: format version 9; this build reads up to 1: update diffem'],
    ['cut.safetensors', checkpoint.subarray(0, 100_000), 'cut.safetensors: '],
  ];
  for (const [name, bytes, message] of files) {
    await choose(name, bytes);
    const found = await said(message);
    assert.ok(found.length < 200, found);
    const now = await state();
    assert.deepEqual([now.draws, now.name, now.own], [before.draws, before.name, 0], name);
  }
  await shot(page, 'fig-5-failed', '#fig-5');
  await figure().getByRole('button', { name: 'New draws' }).click();
  await sampled();
  assert.equal(await figure().locator('.status.failed').count(), 0);
  assert.deepEqual(log, []);
});
