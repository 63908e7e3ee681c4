// Helpers for the asynchronous work behind controls.

/**
 * Wraps `work` so that calls made while it runs collapse into the last of them: moving a slider never builds
 * a queue.
 */
export function latest<T>(work: (value: T) => Promise<void>): (value: T) => void {
  let next: { value: T } | undefined;
  let busy = false;
  const drain = async (): Promise<void> => {
    busy = true;
    while (next) {
      const { value } = next;
      next = undefined;
      await work(value);
    }
    busy = false;
  };
  return (value) => {
    next = { value };
    if (!busy) void drain();
  };
}

/** A function that calls `work` once, `wait` ms after the last request unless that is canceled. */
export function debounced(work: () => void, wait: number): (() => void) & { cancel: () => void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const cancel = (): void => clearTimeout(timer);
  const request = (): void => {
    cancel();
    timer = setTimeout(work, wait);
  };
  return Object.assign(request, { cancel });
}

export const isAbort = (error: unknown): boolean => error instanceof Error && error.name === 'AbortError';
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * Rejects as soon as `signal` aborts, because a worker that was ended never answers; otherwise settles as
 * `work` does.
 */
export function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason as Error);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
