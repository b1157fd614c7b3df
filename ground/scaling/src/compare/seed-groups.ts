import { assert } from '@troupe/core';

/** A held-out loss, of all text and of its parts. */
export interface SeededLoss {
  /** Trainings that differ in their seeds alone have one name. */
  readonly group: string;
  /** Nats a token. */
  readonly loss: number;
  /** By task and language. */
  readonly parts: readonly PartOfLoss[];
}

export interface PartOfLoss {
  readonly task: string;
  readonly language: string;
  /** Nats a token. */
  readonly loss: number;
  readonly tokens: number;
}

/** The trainings of one name. */
export interface SeedGroup {
  readonly group: string;
  readonly numRuns: number;
  readonly mean: number;
  /** How far one of them is from the mean, by the differences of all groups; null: no group has several. */
  readonly deviation: number | null;
}

/** A group beside the first one. */
export interface GroupDifference {
  readonly group: string;
  readonly other: string;
  /** Below 0: it is better. */
  readonly value: number;
  /** A difference up to this is none: two standard deviations of the difference of both means; null: not known. */
  readonly noise: number | null;
  readonly verdict: 'better' | 'worse' | 'none' | 'unknown';
}

/** Standard deviations that a difference needs. */
const DEVIATIONS = 2;

const meanOf = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Groups in the order of their first runs; the deviation is pooled over all of them. */
export function seedGroups(runs: readonly Pick<SeededLoss, 'group' | 'loss'>[]): readonly SeedGroup[] {
  const losses = new Map<string, number[]>();
  for (const { group, loss } of runs) losses.set(group, [...(losses.get(group) ?? []), loss]);
  let [squares, freedom] = [0, 0];
  for (const each of losses.values()) {
    const mean = meanOf(each);
    squares += each.reduce((sum, loss) => sum + (loss - mean) ** 2, 0);
    freedom += each.length - 1;
  }
  const deviation = freedom === 0 ? null : Math.sqrt(squares / freedom);
  return [...losses].map(([group, each]) => ({
    group,
    numRuns: each.length,
    mean: meanOf(each),
    deviation,
  }));
}

/** Each group behind the first beside the first: a difference within the spread of the seeds is none. */
export function groupDifferences(groups: readonly SeedGroup[]): readonly GroupDifference[] {
  const [first, ...others] = groups;
  assert(first !== undefined, 'there is a group to compare with', {});
  return others.map(({ group, mean, numRuns, deviation }): GroupDifference => {
    const value = mean - first.mean;
    const noise =
      deviation === null ? null : DEVIATIONS * deviation * Math.sqrt(1 / numRuns + 1 / first.numRuns);
    const sign = value < 0 ? 'better' : 'worse';
    const verdict = noise === null ? 'unknown' : Math.abs(value) <= noise ? 'none' : sign;
    return { group, other: first.group, value, noise, verdict };
  });
}

/** The mean of each task and language in each group, and of each task over its languages, by their tokens; null: a group was not measured on it. */
export interface PartMeans {
  readonly task: string;
  /** null: all of the task. */
  readonly language: string | null;
  /** As many as there are groups, in their order. */
  readonly groups: readonly (SeedGroup | null)[];
}

/** Tasks in the order in which they come, each with all of it first and then its languages. */
export function partMeans(runs: readonly SeededLoss[]): readonly PartMeans[] {
  const names = [...new Set(runs.map(({ group }) => group))];
  const tasks = new Map<string, Set<string>>();
  for (const { task, language } of runs.flatMap(({ parts }) => parts))
    tasks.set(task, (tasks.get(task) ?? new Set()).add(language));
  const row = (task: string, language: string | null): PartMeans => {
    const found = runs.flatMap(({ group, parts }) => {
      const some = parts.filter(
        (part) => part.task === task && (language === null || part.language === language),
      );
      const tokens = some.reduce((sum, part) => sum + part.tokens, 0);
      const nats = some.reduce((sum, part) => sum + part.loss * part.tokens, 0);
      return tokens === 0 ? [] : [{ group, loss: nats / tokens }];
    });
    const means = seedGroups(found);
    return {
      task,
      language,
      groups: names.map((name) => means.find(({ group }) => group === name) ?? null),
    };
  };
  return [...tasks].flatMap(([task, languages]) => [
    row(task, null),
    ...[...languages].map((language) => row(task, language)),
  ]);
}
