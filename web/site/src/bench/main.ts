// The bench page: a button, a table that grows row by row, and a button that copies it as text.
import '../fonts.css';
import '../style.css';
import './bench.css';
// What both use stays in the file of the elements, which notebooks load as one.
import '../elements';
import { hasAdapter } from 'diffem';
import { html, render } from 'lit';
import { short } from '../lib/format';
import { type Plan, type Row, measure } from './measure';

const find = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
const [run, copy, status, table, machine] = [find<HTMLButtonElement>('run'), find<HTMLButtonElement>('copy'), find('status'), find('table'), find('machine')];

const rows: Row[] = [];
const missing: string[] = [];
const HEADS = ['work', 'device', 'seconds', 'per second'];
const cellsOf = (row: Row): string[] => [row.work, row.device, short(row.seconds), short(row.rate)];

function show(): void {
  table.hidden = !rows.length;
  render(html`<table>
    <thead><tr>${HEADS.map((head, i) => html`<th scope="col" class=${i > 1 ? 'number' : ''}>${head}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr>${cellsOf(row).map((cell, i) => (i ? html`<td class=${i > 1 ? 'number' : ''}>${cell}</td>` : html`<th scope="row">${cell}</th>`))}</tr>`)}</tbody>
  </table>${missing.map((text) => html`<p class="note">${text}</p>`)}`, table);
}

/** The table as tab-separated text, which spreadsheets and issues take. */
const asText = (): string => [HEADS, ...rows.map(cellsOf)].map((cells) => cells.join('\t')).concat(machine.textContent ?? '').join('\n');

/** The number after `name` in the address, from 1. */
function setting(name: string, otherwise: number): number {
  const value = Number(new URLSearchParams(location.search).get(name));
  return Number.isInteger(value) && value > 0 ? value : otherwise;
}

async function plan(): Promise<Plan> {
  const cores = navigator.hardwareConcurrency || 1;
  const asked = new URLSearchParams(location.search).get('webgpu');
  return { workers: setting('workers', cores), rounds: setting('rounds', 5), webgpu: asked !== '0' && (await hasAdapter()) };
}

async function start(): Promise<void> {
  run.disabled = copy.disabled = true;
  rows.length = missing.length = 0;
  show();
  const { workers, webgpu, rounds } = await plan();
  machine.textContent = `${navigator.hardwareConcurrency || 'An unknown number of'} logical cores; ${webgpu ? 'with' : 'without'} WebGPU; ${navigator.userAgent}`;
  status.textContent = 'Measuring…';
  await measure({ workers, webgpu, rounds }, (found) => {
    if ('failed' in found) missing.push(`${found.work}: ${found.failed}`);
    else rows.push(found);
    show();
  });
  status.textContent = 'All is measured.';
  run.disabled = false;
  copy.disabled = !rows.length;
}

run.addEventListener('click', () => void start());
copy.addEventListener('click', () => {
  const said = (text: string) => () => (status.textContent = text);
  void navigator.clipboard.writeText(asText()).then(said('The table has been copied.'), said('The browser does not allow copying; select the table instead.'));
});
