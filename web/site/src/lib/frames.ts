// Work for the screen, a piece a frame: what is drawn on a canvas costs the page again when the frame is put together, so that
// two pictures in one frame hold the page for longer than a reader's hand should wait.

const waiting = new Map<object, () => void>();
let asked = false;

function ask(): void {
  if (asked) return;
  asked = true;
  requestAnimationFrame(next);
}

function next(): void {
  asked = false;
  const [first] = waiting;
  if (!first) return;
  waiting.delete(first[0]);
  if (waiting.size) ask();
  first[1]();
}

/** Does `work` in a frame that it shares with no other piece; asked for again before, it is done once. */
export function inFrame(key: object, work: () => void): void {
  waiting.set(key, work);
  ask();
}

/** `work` in a frame of its own, once, however often it is asked for until then. */
export function perFrame(work: () => void): () => void {
  return () => inFrame(work, work);
}
