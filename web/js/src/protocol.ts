// Messages between a page and its worker.

/** Page to worker: a call, or the wish to stop one. */
export type Request = { id: number; method: string; args: unknown[] } | { cancel: number }

/** An error as it travels; after a fatal one the module is dead. */
export interface Failure {
  name: string
  message: string
  fatal?: boolean
}

/** Worker to page: a call's result, its failure, or word of how far it is; or the worker's new device. */
export type Reply =
  | { id: number; value: unknown }
  | { id: number; error: Failure }
  | { id: number; progress: unknown }
  | { device: 'cpu' | 'webgpu' }

/** The buffers of the arrays in an object, to be moved instead of copied. */
export function buffers(value: unknown): Transferable[] {
  if (ArrayBuffer.isView(value)) return [value.buffer as ArrayBuffer]
  if (value === null || typeof value !== 'object') return []
  return Object.values(value).filter(ArrayBuffer.isView).map((array) => array.buffer as ArrayBuffer)
}
