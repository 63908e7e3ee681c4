// The trained models of the page's last figure: buttons that choose one, and the words about it.
import type { PosteriorInfo } from 'diffem';
import { whenIdle } from './lib/environment';
import { count } from './lib/format';

const PARAM = 'model';

/** Addresses of the models fetched ahead: nothing is asked of the network once the page is loaded. The model shown is in the cache. */
const here = new Map<string, string>();

async function fetchAhead(src: string): Promise<void> {
  const response = await fetch(src, { priority: 'low', cache: 'force-cache' });
  if (response.ok) here.set(src, URL.createObjectURL(await response.blob()));
}

const buttons = (): HTMLButtonElement[] => [...document.querySelectorAll<HTMLButtonElement>('.choices button')];

function choose(chosen: HTMLButtonElement): void {
  for (const button of buttons()) button.setAttribute('aria-pressed', String(button === chosen));
  const { src = '', model = '' } = chosen.dataset;
  document.querySelector('diffem-posterior')?.setAttribute('src', here.get(src) ?? src);
  const url = new URL(location.href);
  if (chosen === buttons()[0]) url.searchParams.delete(PARAM);
  else url.searchParams.set(PARAM, model);
  history.replaceState(history.state, '', url);
}

/** Connects the buttons, and takes the model that the address names. */
export function choosePictures(): void {
  for (const button of buttons()) button.addEventListener('click', () => choose(button));
  const asked = new URLSearchParams(location.search).get(PARAM);
  const named = buttons().find((button) => button.dataset.model === asked);
  if (named) choose(named);
  // Once the page has what it shows. Without it a click fetches, and says what failed.
  const others = (): Promise<unknown> => Promise.allSettled(buttons().map(({ dataset: { src = '' } }) => fetchAhead(src)));
  document.addEventListener('diffem-load', () => void whenIdle().then(others), { once: true });
}

/** Shows what the page says about the model that was loaded. */
export function introduce({ name, lap, image, parameters }: PosteriorInfo): void {
  const about = [...document.querySelectorAll<HTMLElement>('[data-about]')];
  const known = about.find((p) => p.dataset.about === name);
  const shown = known ?? about.find((p) => p.dataset.about === '');
  for (const p of about) p.hidden = p !== shown;
  const pressed = buttons().find((button) => button.getAttribute('aria-pressed') === 'true');
  if (known || !shown || !image) return;
  if (pressed) pressed.textContent = name;
  shown.textContent = `Nothing above depends on two dimensions. This is the posterior of the run “${name}” after lap ${lap}: pictures of ${image.height} by ${image.width} pixels, ${count(parameters)} weights, trained from corrupted pictures only.`;
}
