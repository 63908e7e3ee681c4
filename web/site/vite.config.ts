// One build makes the page and a module of the elements for other pages, with its worker and WebAssembly
// beside it.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import katex from 'katex';
import { type Plugin, defineConfig } from 'vite';
import { smallFonts } from './scripts/fonts';

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/**
 * Replaces `<tex>` by KaTeX's markup when the page is built, so that the reader's browser typesets no
 * formula.
 */
function formulas(): Plugin {
  return {
    name: 'formulas',
    transformIndexHtml: {
      order: 'pre',
      handler: (html) => html.replace(FORMULA, (_, display, source) => typeset(source as string, Boolean(display))),
    },
  };
}

const FORMULA = /<tex( display)?>([\s\S]*?)<\/tex>/g;

const typeset = (source: string, display: boolean): string =>
  katex.renderToString(source.replaceAll('&lt;', '<').replaceAll('&amp;', '&').trim(), { displayMode: display, throwOnError: true });

/** Every letter of the formulas. */
function formulaLetters(): string {
  const rendered = [...readFileSync(at('./index.html'), 'utf8').matchAll(FORMULA)].map(([, display, source]) => typeset(source as string, Boolean(display)));
  return [...new Set(rendered.join('').replace(/<annotation[\s\S]*?<\/annotation>|<[^>]*>/g, '').replaceAll('&lt;', '<').replaceAll('&gt;', '>'))].join('');
}

/**
 * Drops the old font formats from KaTeX's style sheet, because the browsers that need them cannot run this
 * page anyway.
 */
function woff2Only(): Plugin {
  return {
    name: 'woff2-only',
    enforce: 'pre',
    transform: (code, id) => (id.includes('katex') && id.includes('.css') ? code.replace(/,url\([^)]*\.(woff|ttf)\) format\("[a-z]+"\)/g, '') : null),
  };
}

export default defineConfig(({ mode }) => ({
  base: './',
  plugins: [formulas(), smallFonts(formulaLetters), woff2Only()],
  // A stand-in for the package shows the layout without WebAssembly; it is never part of the shipped site.
  resolve: { alias: mode === 'double' ? { diffem: at('./test/double/diffem.ts') } : {} },
  worker: {
    format: 'es',
    rollupOptions: {
      output: { entryFileNames: 'diffem/[name]-[hash].js', chunkFileNames: 'diffem/[name]-[hash].js', assetFileNames: 'diffem/[name]-[hash][extname]' },
    },
  },
  build: {
    target: 'es2022',
    outDir: mode === 'double' ? 'dist-double' : 'dist',
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rollupOptions: {
      preserveEntrySignatures: 'allow-extension',
      input: { page: at('./index.html'), bench: at('./bench.html'), 'diffem-elements': at('./src/elements.ts') },
      output: {
        entryFileNames: (chunk) => (chunk.name === 'diffem-elements' ? 'diffem/diffem-elements.js' : 'assets/[name]-[hash].js'),
        chunkFileNames: 'diffem/[name]-[hash].js',
        assetFileNames: (asset) => (asset.names.some((n) => /\.(wasm|js)$/.test(n)) ? 'diffem/[name]-[hash][extname]' : 'assets/[name]-[hash][extname]'),
      },
    },
  },
}));
