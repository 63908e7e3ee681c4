// Reads the bytes of a checkpoint from a buffer or from the network.

import { platform } from './platform.js'
import type { LoadOptions } from './types.js'

/** Copies the bytes of a buffer, which the caller keeps, or downloads those at an address. */
export async function bytesOf(
  source: string | URL | ArrayBuffer | Uint8Array,
  { onProgress, signal }: LoadOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  signal?.throwIfAborted()
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return new Uint8Array(source).slice()
  const file = await platform.read?.(source)
  if (file) return file
  const response = await fetch(source, { signal })
  if (!response.ok) throw new Error(`${response.url}: the server answered ${response.status} ${response.statusText}`)
  // A compressed response states its compressed length, which is not the number of bytes to expect here.
  const packed = response.headers.get('content-encoding')
  const length = Number(response.headers.get('content-length'))
  return collect(response, packed || !length ? undefined : length, onProgress)
}

async function collect(
  response: Response,
  total: number | undefined,
  onProgress: LoadOptions['onProgress'],
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let loaded = 0
  const reader = response.body?.getReader()
  for (let part = await reader?.read(); part?.value; part = await reader?.read()) {
    chunks.push(part.value)
    loaded += part.value.length
    onProgress?.(loaded, total)
  }
  const all = new Uint8Array(loaded)
  let offset = 0
  for (const chunk of chunks) {
    all.set(chunk, offset)
    offset += chunk.length
  }
  return all
}
