// The trained models of the page's last figure: the buttons that choose one, and the paragraph about it.
import type { PosteriorInfo } from 'diffem';
import { hasLines } from './figures/image/channel';
import { DiffemPosterior } from './figures/image/posterior';
import { whenIdle } from './lib/environment';
import { count } from './lib/format';

const PARAM = 'model';
/** Attributes of the figure that a button sets by its data attributes of the same names. */
const OPTIONS = ['pictures', 'draws', 'steps'];

/**
 * Local addresses of the models fetched ahead, so that the page requests nothing from the network once it is
 * loaded.
 */
const fetched = new Map<string, string>();

async function fetchAhead(src: string): Promise<void> {
  const response = await fetch(src, { priority: 'low', cache: 'force-cache' });
  if (response.ok) fetched.set(src, URL.createObjectURL(await response.blob()));
}

const buttons = (): HTMLButtonElement[] => [...document.querySelectorAll<HTMLButtonElement>('.choices button')];

const isPressed = (button: Element): boolean => button.getAttribute('aria-pressed') === 'true';

function press(chosen: HTMLButtonElement | undefined): void {
  for (const button of buttons()) button.setAttribute('aria-pressed', String(button === chosen));
}

function choose(chosen: HTMLButtonElement): void {
  press(chosen);
  const { src = '', model = '' } = chosen.dataset;
  const figure = document.querySelector('diffem-posterior');
  for (const name of OPTIONS) {
    const value = chosen.dataset[name];
    if (value === undefined) figure?.removeAttribute(name);
    else figure?.setAttribute(name, value);
  }
  figure?.setAttribute('src', fetched.get(src) ?? src);
  const url = new URL(location.href);
  if (chosen === buttons()[0]) url.searchParams.delete(PARAM);
  else url.searchParams.set(PARAM, model);
  history.replaceState(history.state, '', url);
}

/** Connects the buttons and chooses the model that the page's address names. */
export function choosePictures(): void {
  for (const button of buttons()) button.addEventListener('click', () => choose(button));
  const requested = new URLSearchParams(location.search).get(PARAM);
  const named = buttons().find((button) => button.dataset.model === requested);
  if (named) choose(named);
  // The models that are not shown are fetched once the page has everything that it shows, except large ones.
  // Where this fails, a click fetches.
  const small = buttons().filter(({ dataset }) => dataset.onDemand === undefined);
  const others = (): Promise<unknown> => Promise.allSettled(small.map(({ dataset: { src = '' } }) => fetchAhead(src)));
  document.addEventListener('diffem-load', () => void whenIdle().then(others), { once: true });
}

/**
 * Shows the paragraph about the model that was loaded, and how to use the figure with it. A model of the
 * reader's own is described by its metadata.
 */
export function introduce({ name, lap, image, parameters, channel }: PosteriorInfo, figure: EventTarget | null): void {
  const observes = hasLines(channel) ? 'lines' : 'pixels';
  for (const caption of document.querySelectorAll<HTMLElement>('[data-observes]')) caption.hidden = caption.dataset.observes !== observes;
  const about = [...document.querySelectorAll<HTMLElement>('[data-about]')];
  // A file of the reader's own is none of the models to choose from.
  const brought = figure instanceof DiffemPosterior && figure.files.checkpoint !== undefined;
  if (brought) for (const button of buttons()) button.setAttribute('aria-pressed', 'false');
  else press(buttons().find(isPressed) ?? buttons().find(({ dataset }) => dataset.model === name));
  const pressed = buttons().find(isPressed);
  // A run of the reader's own may have the name of a model of the page.
  const known = about.find((p) => p.dataset.about === name && pressed?.dataset.model === name);
  const shown = known ?? about.find((p) => p.dataset.about === '');
  for (const p of about) p.hidden = p !== shown;
  if (known || !shown || !image) return;
  if (pressed) pressed.textContent = name;
  shown.textContent = `Nothing above depends on two dimensions. The figure below shows the posterior of the run “${name}” after lap ${lap}. Its pictures have ${image.height} by ${image.width} pixels, and its network has ${count(parameters)} weights and was trained on corrupted pictures only.`;
}
