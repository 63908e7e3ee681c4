// Records a run of the built page with its default settings into public/recorded.json: what the figures show before
// WebAssembly is there. Run after `npm run build`; build again afterwards.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { pack } from '../src/lib/pack.mjs';
import { open, serve } from '../test/browser.mjs';

/** Observations kept (the first ones), clean points kept, and draws of the one observation singled out. */
const KEPT = { observations: 1024, truth: 700, draws: 120 };

/** Runs in the page: all laps, then draws of the chosen observation, then the closed-form run. Typed arrays as lists. */
async function run({ draws }) {
  const { session } = document.querySelector('diffem-manifold');
  session.reset();
  session.watch('recording', true);
  session.play();
  await new Promise((resolve, reject) => {
    session.addEventListener('change', () => {
      if (session.status === 'done') resolve();
      if (session.status === 'failed') reject(new Error(session.error));
    });
  });
  const steps = [];
  await session.posterior(session.selected, { draws, seed: 0, onStep: ({ sigma, state }) => steps.push({ sigma, state: [...state] }) });
  const theory = document.querySelector('diffem-theory');
  while (!theory.run) await new Promise((resolve) => setTimeout(resolve, 50));
  const { data, laps, config, selected } = session;
  return {
    config,
    selected,
    steps,
    theory: theory.run,
    data: { ...data, y: [...data.y], a: [...data.a], truth: [...data.truth] },
    laps: laps.map((lap) => ({ ...lap, cloud: [...lap.cloud] })),
  };
}

function file({ config, selected, steps, theory, data, laps }) {
  const { d, m } = data;
  const n = KEPT.observations;
  const thinned = data.truth.slice(0, KEPT.truth * d);
  return {
    config,
    d,
    m,
    observations: n,
    truth: pack(thinned),
    y: pack(data.y.slice(0, n * m)),
    a: pack(data.a.slice(0, n * m * d)),
    laps: laps.map(({ cloud, ...record }) => ({ ...record, cloud: pack(cloud.slice(0, n * d)) })),
    draws: { of: selected, sigmas: steps.map((s) => s.sigma), states: steps.map((s) => pack(s.state)) },
    theory,
  };
}

const server = await serve();
const { page, close } = await open(`${server.origin}/`);
await page.waitForFunction(() => document.querySelector('diffem-manifold')?.session);
const recorded = await page.evaluate(run, KEPT);
await close();
await server.close();
const path = fileURLToPath(new URL('../public/recorded.json', import.meta.url));
writeFileSync(path, JSON.stringify(file(recorded)));
for (const { lap, divergence, floor, loss } of recorded.laps) console.log(lap, divergence, floor, loss);
