// What the page shows: functions that run in it and need nothing else, and the same in Chromium, whose bits tests compare with
// those of other browsers.
import { open, ready, see } from './browser.mjs';

/** True once draws of clothing are shown. */
export const sampled = () => {
  const { model, coming } = document.querySelector('diffem-posterior') ?? {};
  return Boolean(!coming && model?.draws && !model.busy);
};

/** Bits of the posterior draws. */
export const drawsShown = () => Array.from(new Uint32Array(document.querySelector('diffem-posterior').model.draws.slice().buffer));

/** True once a lap of live training has ended. */
export const lapped = () => {
  const { laps, status } = document.querySelector('diffem-manifold').session;
  return laps.length > 1 && (status === 'running' || status === 'paused');
};

/** Bits of the observations and of the reconstructions after a lap. */
export const lapShown = () => {
  const { data, laps } = document.querySelector('diffem-manifold').session;
  return [data.y, laps[1].cloud].map((values) => Array.from(new Uint32Array(values.slice().buffer)));
};

/** {@link lapShown} after one lap in Chromium at `url`. */
export async function lapInChromium(url) {
  const { page, close } = await open(url);
  await see(page, '#fig-2 canvas.plane');
  await page.getByRole('button', { name: 'One lap', exact: true }).click();
  await page.waitForFunction(lapped);
  const shown = await page.evaluate(lapShown);
  await close();
  return shown;
}

/** {@link drawsShown} in Chromium at `url`. */
export async function drawsInChromium(url) {
  const { page, close } = await open(url);
  await ready(page);
  await see(page, '#fig-5 canvas');
  await page.waitForFunction(sampled);
  const shown = await page.evaluate(drawsShown);
  await close();
  return shown;
}
