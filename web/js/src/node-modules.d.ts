// The part of Node's modules that the package uses.

declare module 'node:fs/promises' {
  export function readFile(path: string | URL): Promise<Uint8Array<ArrayBuffer>>
}

declare module 'node:worker_threads' {
  interface Port {
    postMessage(message: unknown, transfer?: readonly Transferable[]): void
    on(event: string, listener: (value: never) => void): void
  }
  export const parentPort: Port | null
  export class Worker implements Port {
    constructor(file: URL)
    postMessage(message: unknown, transfer?: readonly Transferable[]): void
    on(event: string, listener: (value: never) => void): void
    ref(): void
    unref(): void
    terminate(): Promise<number>
  }
}
