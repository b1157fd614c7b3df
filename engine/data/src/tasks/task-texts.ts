import { createHash } from 'node:crypto';
import { isHeldOut } from '../holdout.ts';
import { languageTexts } from '../parallel/language-texts.ts';
import type { ParallelText } from '../parallel/parallel-text.ts';
import type { TextPair } from '../parallel/text-pair.ts';
import { CYCLE, temperatureQuotas } from './quotas.ts';

/** Texts of one language, each once; those of training first. */
export interface IndexedTexts {
  readonly texts: readonly string[];
  readonly numTrain: number;
}

/** The pairs of two languages as places in their texts: source and target of each, one after the other. */
export interface IndexedPairs {
  readonly from: string;
  readonly to: string;
  readonly train: Int32Array;
  readonly heldOut: Int32Array;
}

/** Texts of several languages, of which each is kept once, in however many pairs it stands. */
export interface TaskTexts {
  readonly languages: ReadonlyMap<string, IndexedTexts>;
  readonly pairs: readonly IndexedPairs[];
  /** sha256, hex, of all texts in their order: the same wherever the files lie. */
  readonly sha256: string;
}

/** Texts of one language; those that are nowhere in parallel text are held out by what they are, as documents of a corpus. */
function textsOf(
  text: ParallelText,
  language: string,
  { monolingual, holdout }: { readonly monolingual: ReadonlySet<string>; readonly holdout: number },
): IndexedTexts {
  const { train, heldOut } = text.languages.includes(language)
    ? languageTexts(text, language)
    : { train: [], heldOut: [] };
  const known = new Set([...train, ...heldOut]);
  const others = [...monolingual].filter((each) => !known.has(each));
  const trained = [...train, ...others.filter((each) => !isHeldOut(each, holdout))];
  return {
    texts: [...trained, ...heldOut, ...others.filter((each) => isHeldOut(each, holdout))],
    numTrain: trained.length,
  };
}

/**
 * @param monolingual - texts of one language alone, by language
 * @param holdout - expected share of those that is held out
 */
export function taskTexts(
  text: ParallelText,
  monolingual: ReadonlyMap<string, ReadonlySet<string>>,
  holdout: number,
): TaskTexts {
  const hash = createHash('sha256');
  const places = new Map<string, ReadonlyMap<string, number>>();
  const languages = new Map<string, IndexedTexts>();
  for (const language of [...new Set([...text.languages, ...monolingual.keys()])].sort()) {
    const own = monolingual.get(language) ?? new Set();
    const indexed = textsOf(text, language, { monolingual: own, holdout });
    languages.set(language, indexed);
    places.set(language, new Map(indexed.texts.map((each, place) => [each, place])));
    for (const each of own) hash.update(`${language} ${each.length} `).update(each);
  }
  const indexed = (pairs: readonly TextPair[]): Int32Array => {
    const out = new Int32Array(2 * pairs.length);
    for (const [index, { from, to, source, target }] of pairs.entries()) {
      hash.update(`${source.length} ${target.length} `).update(source).update(target);
      out[2 * index] = places.get(from)?.get(source) ?? 0;
      out[2 * index + 1] = places.get(to)?.get(target) ?? 0;
    }
    return out;
  };
  const pairs = [...text.pairs.values()].map(({ from, to, train, heldOut }): IndexedPairs => {
    hash.update(`${from} ${to} ${train.length} `);
    return { from, to, train: indexed(train), heldOut: indexed(heldOut) };
  });
  return { languages, pairs, sha256: hash.digest('hex') };
}

/** At 5 a language with a hundredth of the texts has two fifths of the occurrences, so that it gets merges of its own. */
const TOKENIZER_TEMPERATURE = 5;

/** Training texts of all languages in proportion to a quota each: those of a small language come several times, of a large one some. */
export function* temperedTexts({ languages }: TaskTexts): Generator<string> {
  const used = [...languages.values()].filter(({ numTrain }) => numTrain > 0);
  if (used.length === 0) return;
  const total = used.reduce((sum, { numTrain }) => sum + numTrain, 0);
  const quotas = temperatureQuotas(
    used.map(({ numTrain }) => numTrain),
    TOKENIZER_TEMPERATURE,
  );
  for (const [part, { texts, numTrain }] of used.entries()) {
    const times = (((quotas[part] ?? 0) / CYCLE) * total) / numTrain;
    for (let place = 0; place < numTrain; place++)
      for (let n = Math.floor(times * place); n < Math.floor(times * (place + 1)); n++)
        yield texts[place] ?? '';
  }
}
