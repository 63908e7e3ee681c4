// What differs where there is no browser; node.ts sets it.

/** The part of a worker that the package uses. */
export type WorkerLike = Pick<
  Worker,
  'postMessage' | 'terminate' | 'addEventListener' | 'onmessage' | 'onerror' | 'onmessageerror'
>

export const platform: {
  /** Starts the worker beside this file. */
  spawn?: () => WorkerLike
  /** Reads the bytes at a path or a file's address; undefined for an address of the network. */
  read?: (source: string | URL) => Promise<Uint8Array<ArrayBuffer>> | undefined
} = {}
