// Fonts with the glyphs and the weights that the page uses, which are a third of the whole fonts.
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import subset from 'subset-font';
import type { Plugin } from 'vite';

const root = fileURLToPath(new URL('../', import.meta.url));
const made = join(root, 'node_modules/.cache/diffem-fonts');
const ASCII = String.fromCharCode(...Array.from({ length: 95 }, (_, i) => 32 + i));

/** ASCII, which figures may show in names of the reader's own, and every other letter of the page and its figures. */
function textLetters(): string {
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  const texts = [join(root, 'index.html'), ...sources.map((file) => join(root, 'src', file))].map((path) => readFileSync(path, 'utf8'));
  const escaped = [...texts.join('').matchAll(/\\u([0-9a-f]{4})/g)].map(([, code]) => String.fromCodePoint(parseInt(code as string, 16)));
  return ASCII + [...new Set([...texts.join(''), ...escaped])].filter((c) => c > '~').join('');
}

/** Weights between that of the text and that of headings; the page sets no italic headings. */
const weights = (font: string): Record<string, number | { min: number; max: number }> | undefined =>
  font.includes('wght-italic') ? { wght: 400 } : font.includes('wght') ? { wght: { min: 400, max: 600 } } : undefined;

async function write(font: string, letters: string): Promise<string> {
  const axes = weights(font);
  const bytes = await subset(readFileSync(font), letters, { targetFormat: 'woff2', ...(axes ? { variationAxes: axes } : {}) });
  mkdirSync(made, { recursive: true });
  const path = join(made, basename(font));
  writeFileSync(path, bytes);
  return path;
}

/** Replaces the fonts that style sheets name; `formulas` are the letters of all formulas. */
export function smallFonts(formulas: () => string): Plugin {
  return {
    name: 'small-fonts',
    enforce: 'pre',
    async transform(code, id) {
      if (!/(fonts|katex[\w.]*)\.css/.test(id)) return null;
      const require = createRequire(id.split('?')[0] as string);
      const letters = id.includes('katex') ? formulas() : textLetters();
      let out = code;
      for (const [, name = ''] of code.matchAll(/url\(['"]?([^)'"]*\.woff2)['"]?\)/g)) {
        const font = name.startsWith('fonts/') ? join(dirname(id.split('?')[0] as string), name) : require.resolve(name);
        out = out.replace(name, relative(dirname(id.split('?')[0] as string), await write(font, letters)));
      }
      return out;
    },
  };
}
