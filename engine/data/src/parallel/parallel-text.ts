import { DataConfigError, DataSourceError } from '../errors.ts';
import { isHeldOut } from '../holdout.ts';
import { fileOf, pairsOf, refuseEmpty, sourceIdentity, type ParallelSource } from './parallel-source.ts';
import { pairName, type TextPair } from './text-pair.ts';

export interface ParallelSpec {
  readonly sources: readonly ParallelSource[];
  /** Language pairs to keep, `en-de`; each must be there. Default: all that the sources hold. */
  readonly pairs?: readonly string[];
  /** Expected share of the documents that is held out, 0 ≤ holdout < 1. Default 0.02. */
  readonly holdout?: number;
  /** Which documents are held out is a function of their names and of this. Default 0. */
  readonly seed?: number;
}

/** The pairs of two languages, in two splits, each in the order of the sources. */
export interface LanguagePair {
  readonly from: string;
  readonly to: string;
  readonly train: readonly TextPair[];
  readonly heldOut: readonly TextPair[];
  /** Left out: the English side was there before. */
  readonly numDuplicates: number;
  /** Left out: both sides are the same text. */
  readonly numUntranslated: number;
}

export interface ParallelText {
  /** By name, `en-de`, in the order in which they appear. */
  readonly pairs: ReadonlyMap<string, LanguagePair>;
  /** Every language of any pair, sorted. */
  readonly languages: readonly string[];
  /** Changes whenever the pairs may have changed; null: unknown, so nothing made of them may be kept on disk. */
  readonly identity: string | null;
}

const isEnglish = (language: string): boolean => /^en(?:[-_]|$)/.test(language);

/** The English side decides what is twice there; between two other languages the source does. */
const keyOf = ({ from, to, source, target }: TextPair): string =>
  isEnglish(to) && !isEnglish(from) ? target : source;

/**
 * Reads parallel text, without duplicates, split by document.
 *
 * Help texts and messages repeat themselves, so a split by line would hold out what is trained. Therefore each text on the English side
 * is kept once per language pair, *before* the split, and belongs to the document in which it stood first in any language: it is held
 * out in all of them or in none. Documents go whole, by a hash of their name and the seed.
 *
 * @throws {DataSourceError} TROUPE_DATA_UNREADABLE for a file that is missing, empty, or of other length than its counterpart
 * @throws {DataLineError} TROUPE_DATA_LINE with file:line for a line that is not what its kind says
 * @throws {DataConfigError} TROUPE_DATA_CONFIG for sources without pairs, and for a pair that none of them holds
 */
export async function readParallel(spec: ParallelSpec): Promise<ParallelText> {
  const { sources, seed = 0, holdout = 0.02 } = spec;
  if (!(holdout >= 0 && holdout < 1))
    throw new DataConfigError(`holdout is ${holdout}`, 'it is a share of the documents, 0 ≤ holdout < 1');
  const wanted = spec.pairs === undefined ? null : new Set(spec.pairs);
  const drafts = new Map<string, Draft>();
  const found = new Set<string>();
  const owners = new Map<string, string>();
  for (const source of sources) {
    const file = fileOf(source);
    if (file !== null) refuseEmpty(file);
    let numPairs = 0;
    for await (const pair of pairsOf(source)) {
      numPairs++;
      const name = pairName(pair.from, pair.to);
      found.add(name);
      if (wanted === null || wanted.has(name)) addPair(drafts, name, pair, owners);
    }
    if (numPairs === 0) throw noPairs(source);
  }
  for (const name of wanted ?? []) if (!found.has(name)) throw missingPair(name, found);
  const isOut = (pair: TextPair): boolean =>
    isHeldOut(`${seed}/${owners.get(keyOf(pair)) ?? pair.document}`, holdout);
  return parallelText(drafts, isOut, sources.map(sourceIdentity));
}

interface Draft {
  readonly from: string;
  readonly to: string;
  readonly byKey: Map<string, TextPair>;
  numDuplicates: number;
  numUntranslated: number;
}

function addPair(
  drafts: Map<string, Draft>,
  name: string,
  pair: TextPair,
  owners: Map<string, string>,
): void {
  let draft = drafts.get(name);
  if (draft === undefined) {
    draft = { from: pair.from, to: pair.to, byKey: new Map(), numDuplicates: 0, numUntranslated: 0 };
    drafts.set(name, draft);
  }
  const key = keyOf(pair);
  if (pair.source === pair.target) draft.numUntranslated++;
  else if (draft.byKey.has(key)) draft.numDuplicates++;
  else {
    draft.byKey.set(key, pair);
    if (!owners.has(key)) owners.set(key, pair.document);
  }
}

function parallelText(
  drafts: ReadonlyMap<string, Draft>,
  isOut: (pair: TextPair) => boolean,
  identities: readonly (string | null)[],
): ParallelText {
  const pairs = new Map<string, LanguagePair>();
  for (const [name, { byKey, ...draft }] of drafts) {
    const train: TextPair[] = [];
    const heldOut: TextPair[] = [];
    for (const pair of byKey.values()) (isOut(pair) ? heldOut : train).push(pair);
    pairs.set(name, { ...draft, train, heldOut });
  }
  const languages = [...new Set([...pairs.values()].flatMap(({ from, to }) => [from, to]))].sort();
  return { pairs, languages, identity: identities.includes(null) ? null : identities.join('\n') };
}

function noPairs(source: ParallelSource): Error {
  const file = fileOf(source) ?? ('folder' in source ? source.folder : null);
  const hint = 'a pair is a text and its translation, both not empty';
  return file === null
    ? new DataConfigError(`the source ${source.kind} holds no pairs`, hint)
    : new DataSourceError(file, 'it holds no pairs', hint);
}

const missingPair = (name: string, found: ReadonlySet<string>): Error =>
  new DataConfigError(
    `no parallel text for ${name}`,
    `there is ${[...found].sort().join(', ') || 'none'}; add a source or choose another pair`,
  );

/**
 * The pairs that translate `from` into `to`: those of that name, else those of the other direction, turned round.
 *
 * @throws {DataConfigError} TROUPE_DATA_CONFIG when neither is there; the message lists those that are
 */
export function languagePair(text: ParallelText, from: string, to: string): LanguagePair {
  const straight = text.pairs.get(pairName(from, to));
  if (straight !== undefined) return straight;
  const turned = text.pairs.get(pairName(to, from));
  if (turned === undefined) throw missingPair(pairName(from, to), new Set(text.pairs.keys()));
  return { ...turned, from, to, train: turned.train.map(turnRound), heldOut: turned.heldOut.map(turnRound) };
}

const turnRound = ({ from, to, source, target, document }: TextPair): TextPair => ({
  from: to,
  to: from,
  source: target,
  target: source,
  document,
});
