import {
  DataConfigError,
  isMonolingual,
  languagePair,
  languageTexts,
  readParallel,
  type TextPair,
} from '@troupe/data';
import type { ResolvedTopology } from '@troupe/topology';
import { parallelSource } from '../parallel-data.ts';

/** Held-out sentences of one direction. */
export interface HeldOutPairs {
  readonly from: string;
  readonly to: string;
  /** Those that were chosen, in the order of the data. */
  readonly pairs: readonly TextPair[];
  /** All held-out texts in `to`. */
  readonly texts: readonly string[];
}

/** So many of the items, evenly over all of them. */
const spread = <T>(items: readonly T[], count: number): readonly T[] =>
  items.length <= count
    ? items
    : Array.from({ length: count }, (_, index) => items[Math.floor((index * items.length) / count)]).flatMap(
        (item) => (item === undefined ? [] : [item]),
      );

/**
 * Held-out sentences of every direction that a topology translates.
 *
 * @param sentences - of a direction at most
 * @throws {DataConfigError} TROUPE_DATA_CONFIG when the topology translates nothing
 * @throws as readParallel of `@troupe/data`
 */
export async function heldOutPairs(
  { data: { source, holdout } }: ResolvedTopology,
  sentences: number,
): Promise<readonly HeldOutPairs[]> {
  const tasks = source.kind === 'parallel' ? source.tasks.filter(({ kind }) => kind === 'translation') : [];
  if (source.kind !== 'parallel' || tasks.length === 0)
    throw new DataConfigError('nothing is translated', 'name a task of kind translation in data.tasks');
  const sources = source.sources.map(parallelSource).filter((each) => !isMonolingual(each));
  const text = await readParallel({ sources, holdout });
  const both = [...text.pairs.values()].flatMap(({ from, to }) => [`${from}-${to}`, `${to}-${from}`]);
  const names = new Set(tasks.flatMap(({ pairs }) => pairs ?? both));
  const directions = text.languages.flatMap((from) => text.languages.map((to) => [from, to] as const));
  return directions
    .filter(([from, to]) => names.has(`${from}-${to}`))
    .map(([from, to]) => {
      const { heldOut } = languagePair(text, from, to);
      return { from, to, pairs: spread(heldOut, sentences), texts: languageTexts(text, to).heldOut };
    });
}
