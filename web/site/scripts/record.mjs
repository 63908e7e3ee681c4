// Turns a run of the command line into public/recorded.json, which figures show while WebAssembly is being
// loaded:
//   diffem train web/site/scripts/heart.toml --out RUN && node scripts/record.mjs RUN
// The settings are the default ones of src/session/config.ts, so that Play repeats the same laps.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pack } from '../src/lib/pack.mjs';

/** How many laps, observations and clean points are kept; these are the first ones. */
const KEPT = { laps: 30, observations: 768, truth: 700 };

/** Reads tensor `name` of a safetensors file, which is an 8-byte length, a JSON header and the bytes. */
function tensor(path, name) {
  const file = readFileSync(path);
  const head = 8 + Number(file.readBigUInt64LE(0));
  const { shape, data_offsets: [from, to] } = JSON.parse(file.subarray(8, head).toString())[name];
  const bytes = file.subarray(head + from, head + to);
  return { shape, values: new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)) };
}

const [run, ...drawn] = process.argv.slice(2);
if (!run) throw new Error('usage: node scripts/record.mjs RUN [DRAWS MMPS-DRAWS]');
const at = (name) => join(run, `${name}.safetensors`);
const [y, a, truth] = [tensor(at('observations'), 'y'), tensor(at('observations'), 'a'), tensor(at('truth'), 'u1')];
const [m, d] = [y.shape[1], truth.shape[1]];
const laps = readFileSync(join(run, 'metrics.jsonl'), 'utf8').trim().split('\n').map(JSON.parse).filter((e) => e.event === 'lap' && e.lap <= KEPT.laps);
const cloud = (lap) => tensor(at(`lap-${String(lap).padStart(3, '0')}/reconstructions`), 'x').values.slice(0, KEPT.observations * d);

/** Draws [n, draws, d] of the first observations from a run of DiffEM and from a run of EM-MMPS. */
function draws([diffem, mmps]) {
  if (!diffem || !mmps) return [];
  const [ours, theirs] = [tensor(diffem, 'x'), tensor(mmps, 'x')];
  const length = ours.shape[1] * d;
  const of = (all, i) => pack(all.values.slice(i * length, (i + 1) * length));
  return Array.from({ length: ours.shape[0] }, (_, i) => ({ of: i, diffem: of(ours, i), mmps: of(theirs, i) }));
}

const recorded = {
  d,
  m,
  observations: KEPT.observations,
  truth: pack(truth.values.slice(0, KEPT.truth * d)),
  y: pack(y.values.slice(0, KEPT.observations * m)),
  a: pack(a.values.slice(0, KEPT.observations * m * d)),
  draws: draws(drawn),
  laps: laps.map((e) => ({ lap: e.lap, cloud: pack(cloud(e.lap)), divergence: e.truth.sinkhorn, floor: e.truth.sinkhorn_floor, ...(e.loss === null ? {} : { loss: e.loss }) })),
};
writeFileSync(fileURLToPath(new URL('../public/recorded.json', import.meta.url)), JSON.stringify(recorded));
console.log(laps.map((e) => `${e.lap}: ${e.truth.sinkhorn.toFixed(4)}`).join(', '));
