// Detection of a WebGPU adapter.

interface Info {
  vendor?: string
  architecture?: string
  device?: string
  description?: string
  isFallbackAdapter?: boolean
}

interface Adapter {
  info?: Info
  isFallbackAdapter?: boolean
}

interface Gpu {
  requestAdapter(): Promise<Adapter | null>
}

/** Names of adapters that compute on the CPU. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|basic render|software/i

/** The WebGPU adapter of this browser, where there is one; a software adapter computes on the CPU. */
export async function adapter(): Promise<'hardware' | 'software' | undefined> {
  const { gpu } = (globalThis.navigator ?? {}) as { gpu?: Gpu }
  const found = await gpu?.requestAdapter().catch(() => null)
  if (!found) return undefined
  const { vendor, architecture, device, description, isFallbackAdapter } = found.info ?? {}
  const isSoftware = isFallbackAdapter || found.isFallbackAdapter || SOFTWARE.test([vendor, architecture, device, description].join(' '))
  return isSoftware ? 'software' : 'hardware'
}

/** Whether this browser offers a WebGPU adapter for `device: 'auto'`. The first answer may take a while. */
export async function hasAdapter(): Promise<boolean> {
  return (await adapter()) !== undefined
}
