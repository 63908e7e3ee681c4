// A server on this machine's loopback address for the files of a folder and for pages given as text.
import { createServer } from 'node:http'
import { readFile } from 'node:fs/promises'
import { extname, join, normalize } from 'node:path'

const kinds = {
  '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm', '.safetensors': 'application/octet-stream',
}

/** Serves `root`; `pages` maps paths to HTML. Resolves to `{ url, close }`. */
export async function serve(root, pages = {}) {
  const server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, 'http://localhost').pathname))
    const answer = (status, kind, body) => {
      response.writeHead(status, { 'content-type': kind, 'content-length': body.length })
      response.end(body)
    }
    if (path in pages) return answer(200, 'text/html', Buffer.from(pages[path]))
    try {
      answer(200, kinds[extname(path)] ?? 'application/octet-stream', await readFile(join(root, path)))
    } catch {
      answer(404, 'text/plain', Buffer.from('not found'))
    }
  })
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening))
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () => new Promise((closed) => { server.closeAllConnections(); server.close(closed) }),
  }
}
