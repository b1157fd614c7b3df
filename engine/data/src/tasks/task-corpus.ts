import type { CacheEntry } from '../cache-file.ts';
import type { TokenArray } from '../corpus.ts';
import { GrowingArray } from '../growing-array.ts';
import type { Tokenizer } from '../tokenizer.ts';
import type { IndexedPairs, IndexedTexts, TaskTexts } from './task-texts.ts';
import type { TokenTexts } from './token-texts.ts';

/** Texts that are encoded at once. */
const TEXTS_AT_ONCE = 1024;

/** Texts of one language as tokens; those of training first. */
export interface LanguageTokens extends TokenTexts {
  readonly numTrain: number;
}

/** {@link TaskTexts} as tokens. Independent of windows, tasks and seed. */
export interface TaskCorpus {
  readonly languages: ReadonlyMap<string, LanguageTokens>;
  readonly pairs: readonly IndexedPairs[];
  readonly sha256: string;
}

async function encodeTexts(
  { texts, numTrain }: IndexedTexts,
  tokenizer: Tokenizer,
  encoded: (characters: number) => void,
): Promise<LanguageTokens> {
  const isShort = tokenizer.vocabSize <= 0x10000;
  const tokens = new GrowingArray<TokenArray>((length) =>
    isShort ? new Uint16Array(length) : new Int32Array(length),
  );
  const starts = new Int32Array(texts.length + 1);
  for (let first = 0; first < texts.length; first += TEXTS_AT_ONCE) {
    const some = texts.slice(first, first + TEXTS_AT_ONCE);
    for (const [index, ids] of (await tokenizer.encodeAll(some)).entries()) {
      tokens.append(ids);
      starts[first + index + 1] = tokens.length;
    }
    encoded(some.reduce((sum, text) => sum + text.length, 0));
  }
  return { tokens: tokens.finish(), starts, numTrain };
}

/** @param encoded - hears, now and then, how many characters have been encoded since */
export async function encodeTaskTexts(
  { languages: texts, pairs, sha256 }: TaskTexts,
  tokenizer: Tokenizer,
  encoded: (characters: number) => void,
): Promise<TaskCorpus> {
  const languages = new Map<string, LanguageTokens>();
  for (const [language, each] of texts) languages.set(language, await encodeTexts(each, tokenizer, encoded));
  return { languages, pairs, sha256 };
}

/** What the arrays of an entry are of. */
interface Names {
  readonly languages: readonly (readonly [name: string, numTrain: number])[];
  readonly pairs: readonly (readonly [from: string, to: string])[];
}

export function taskCorpusEntry({ languages, pairs, sha256 }: TaskCorpus): CacheEntry {
  const names: Names = {
    languages: [...languages].map(([name, { numTrain }]) => [name, numTrain]),
    pairs: pairs.map(({ from, to }) => [from, to]),
  };
  const sections: Record<string, Uint8Array | Uint16Array | Int32Array> = {
    names: new TextEncoder().encode(JSON.stringify(names)),
    sha256: Buffer.from(sha256, 'hex'),
  };
  for (const [index, { tokens, starts }] of [...languages.values()].entries()) {
    sections[`tokens${index}`] = tokens;
    sections[`starts${index}`] = starts;
  }
  for (const [index, { train, heldOut }] of pairs.entries()) {
    sections[`train${index}`] = train;
    sections[`heldOut${index}`] = heldOut;
  }
  return { meta: {}, sections };
}

/** null when an array is missing. */
export function taskCorpusFrom({ sections }: CacheEntry): TaskCorpus | null {
  const { names: written, sha256 } = sections;
  if (written === undefined || sha256 === undefined) return null;
  const names = JSON.parse(new TextDecoder().decode(written)) as Names;
  const integers = (name: string): Int32Array | null => {
    const found = sections[name];
    return found instanceof Int32Array ? found : null;
  };
  const languages = new Map<string, LanguageTokens>();
  for (const [index, [language, numTrain]] of names.languages.entries()) {
    const tokens = sections[`tokens${index}`];
    const starts = integers(`starts${index}`);
    if (tokens === undefined || tokens instanceof Uint8Array || starts === null) return null;
    languages.set(language, { tokens, starts, numTrain });
  }
  const pairs: IndexedPairs[] = [];
  for (const [index, [from, to]] of names.pairs.entries()) {
    const [train, heldOut] = [integers(`train${index}`), integers(`heldOut${index}`)];
    if (train === null || heldOut === null) return null;
    pairs.push({ from, to, train, heldOut });
  }
  return { languages, pairs, sha256: Buffer.from(sha256).toString('hex') };
}
