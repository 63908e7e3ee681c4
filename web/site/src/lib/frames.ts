// Drawing work, one piece per frame. What is drawn on a canvas costs time again when the browser composes the
// frame, so two pictures in one frame would block the page for noticeably long.

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

/**
 * Does `work` in a frame of its own. Another request with the same key before that frame replaces the first
 * one.
 */
export function inFrame(key: object, work: () => void): void {
  waiting.set(key, work);
  ask();
}

/** A function that requests `work` in a frame of its own; several requests before that frame are one. */
export function perFrame(work: () => void): () => void {
  return () => inFrame(work, work);
}
