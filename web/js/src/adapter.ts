// Detection of a WebGPU adapter.

interface Gpu {
  requestAdapter(): Promise<object | null>
}

/** Whether this browser offers a WebGPU adapter for `device: 'auto'`. The first answer may take a while. */
export async function hasAdapter(): Promise<boolean> {
  const { gpu } = (globalThis.navigator ?? {}) as { gpu?: Gpu }
  return Boolean(await gpu?.requestAdapter().catch(() => null))
}
