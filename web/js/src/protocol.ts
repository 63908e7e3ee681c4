// Messages between a page and its worker.

/** From page to worker: a call, a request to cancel one, or the name of the lock that the worker is to hold for life. */
export type Request = { id: number; method: string; args: unknown[] } | { cancel: number } | { life: string }

/** An error as a message; a fatal one means that the module cannot be used again. */
export interface Failure {
  name: string
  message: string
  fatal?: boolean
}

/** From worker to page: the result, failure or progress of a call, the worker's new device, or that it holds its lock. */
export type Reply =
  | { id: number; value: unknown }
  | { id: number; error: Failure }
  | { id: number; progress: unknown }
  | { device: 'cpu' | 'webgpu' }
  | { life: true }

/** The buffers of the arrays in an object, which messages move instead of copying them. */
export function buffers(value: unknown): Transferable[] {
  if (ArrayBuffer.isView(value)) return [value.buffer as ArrayBuffer]
  if (value === null || typeof value !== 'object') return []
  return Object.values(value).filter(ArrayBuffer.isView).map((array) => array.buffer as ArrayBuffer)
}
