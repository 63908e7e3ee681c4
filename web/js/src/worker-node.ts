// The worker as a thread of Node or Deno: gives worker.js what it finds in a browser.

import { readFile } from 'node:fs/promises'
import { parentPort } from 'node:worker_threads'
import type { Reply, Request as Call } from './protocol.js'

interface Scope {
  onmessage?: (event: { data: Call }) => void
  postMessage(message: Reply, transfer?: Transferable[]): void
}

const scope: Scope = { postMessage: (message, transfer = []) => parentPort?.postMessage(message, transfer) }
Object.defineProperty(globalThis, 'self', { value: scope, configurable: true })

// The modules fetch their WebAssembly from beside them, which Node does not do from files.
const fetched = globalThis.fetch
globalThis.fetch = async (source, options) => {
  const address = source instanceof Request ? source.url : String(source)
  if (!address.startsWith('file:')) return fetched(source, options)
  return new Response(await readFile(new URL(address)), { headers: { 'content-type': 'application/wasm' } })
}

await import('./worker.js')
parentPort?.on('message', (data) => scope.onmessage?.({ data: data as Call }))
