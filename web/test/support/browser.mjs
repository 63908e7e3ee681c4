// Headless Chromium with a page that imports the package.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { serve } from './server.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const quiet = ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync']
// WebGPU runs on a software adapter, so that the tests need no GPU.
const webgpu = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader']

/** The browser that `DIFFEM_CHROMIUM` names, or that of the distribution. */
const executablePath = process.env.DIFFEM_CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync)

const html = `<!doctype html><meta charset="utf-8"><title>diffem</title><script type="module">
  import * as diffem from '/js/dist/index.js'
  window.diffem = diffem
  window.longest = 0
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) window.longest = Math.max(window.longest, duration)
  }).observe({ type: 'longtask', buffered: true })
</script>`

/** The reason for skipping tests of the WebGPU module, or false where it was built. */
export const withoutGpu = !existsSync(join(root, 'js/dist/gpu/diffem_gpu_bg.wasm')) && 'built with --cpu-only'

/**
 * Opens a page with the package as `window.diffem`, or without the package where `bare` is set; `gpu` turns
 * WebGPU on. `close()` ends the browser and the server.
 */
export async function open({ gpu = false, bare = false } = {}) {
  if (!bare && !existsSync(join(root, 'js/dist/index.js'))) throw new Error('web/js/dist is missing: run web/build.sh')
  const server = await serve(root, { '/': bare ? '<!doctype html>' : html })
  const browser = await chromium.launch({
    executablePath, headless: true, args: [...quiet, ...(gpu ? webgpu : [])],
  })
  const page = await browser.newPage()
  const log = []
  page.on('console', (message) => log.push(message.text()))
  page.on('pageerror', (error) => log.push(error.message))
  await page.goto(server.url)
  if (!bare) await page.waitForFunction(() => window.diffem)
  const close = async () => {
    await browser.close()
    await server.close()
  }
  return { page, browser, server, log, close }
}
