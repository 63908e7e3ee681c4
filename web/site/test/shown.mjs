// What the page shows, as functions that run in it and need nothing else: tests compare the bits between browsers.

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
