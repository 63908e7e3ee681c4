// What a file is, by its first bytes: names lie.
import { contents, headerOf } from './tensors';

export type Kind = 'picture' | 'observations' | 'checkpoint';

const begins = (bytes: Uint8Array, ...magic: number[]): boolean => magic.every((b, i) => bytes[i] === b);

/** The kind of `file`; throws with one sentence where the figure can do nothing with it. */
export async function kindOf(file: File): Promise<Kind> {
  const bytes = new Uint8Array(await file.slice(0, 512).arrayBuffer());
  if (begins(bytes, 0x89, 0x50, 0x4e, 0x47) || begins(bytes, 0xff, 0xd8, 0xff)) return 'picture';
  if (begins(bytes, 0x50, 0x4b, 3, 4)) return 'observations';
  if (bytes[8] === 0x7b && file.size > 16) return (await isCheckpoint(file)) ? 'checkpoint' : 'observations';
  const text = new TextDecoder().decode(bytes).trimStart();
  if (/^(<\?xml|<!--|<svg)/.test(text) && (text.includes('<svg') || /\.svg$/i.test(file.name))) {
    throw new Error(`${file.name}: expected a PNG or JPEG picture; an SVG has no pixels, so export it as PNG first`);
  }
  throw new Error(`${file.name}: expected a PNG or JPEG picture, or .npz or .safetensors with observations or a checkpoint; the content is none of these`);
}

/** Whether a safetensors file was written by `diffem export --web`. */
async function isCheckpoint(file: File): Promise<boolean> {
  const metadata = headerOf(await contents(file))?.header.__metadata__ as { diffem?: string } | undefined;
  return /"content": *"bundle"/.test(metadata?.diffem ?? '');
}
