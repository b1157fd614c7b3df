import type { FilledTopology } from './fill.ts';
import type { ResolvedTopology } from './resolved.ts';

/** What decides every number of a run: equal on resume, whatever the layout. */
export type Trajectory = Pick<FilledTopology, 'model'> & {
  readonly data: object;
  /** Without what only says when a run is given up. */
  readonly train: Omit<FilledTopology['train'], 'maxSkipped'>;
};

/** Keys of `data` that name files. */
const fileKeys = ['text', 'jsonl', 'parquet', 'tokens'] as const;

/** `data` without the names of its files, which may have moved: what is in them decides, and a checkpoint holds its hash. */
function dataOf(data: FilledTopology['data']): object {
  const named = fileKeys.filter((key) => data[key] !== undefined);
  return { ...data, ...Object.fromEntries(named.map((key) => [key, 'files'])) };
}

/** One dotted key that differs; undefined where a side lacks it. */
export interface Difference {
  readonly key: string;
  readonly before: unknown;
  readonly after: unknown;
}

/**
 * The part of a topology that must not change on resume: model, data, train. Machines, device, parallel, placement,
 * wire, checkpoint, metrics, recovery and eval may, and so may the name, which is a label, and where files lie.
 */
export function trajectory({ file }: ResolvedTopology): Trajectory {
  const { maxSkipped: _, ...train } = file.train;
  return { model: file.model, data: dataOf(file.data), train };
}

/** Dotted keys at which two plain values differ, in the order of the first, then of the second. */
export function diffValues(before: unknown, after: unknown, key = ''): readonly Difference[] {
  const isTree = (value: unknown): value is object => typeof value === 'object' && value !== null;
  if (!isTree(before) || !isTree(after)) return Object.is(before, after) ? [] : [{ key, before, after }];
  const [a, b] = [new Map(Object.entries(before)), new Map(Object.entries(after))];
  return [...new Set([...a.keys(), ...b.keys()])].flatMap((name) =>
    diffValues(a.get(name), b.get(name), key === '' ? name : `${key}.${name}`),
  );
}

/** Keys of the trajectory at which two topologies differ; empty: one may resume the other's checkpoint. */
export function diffTrajectory(
  before: ResolvedTopology | Trajectory,
  after: ResolvedTopology | Trajectory,
): readonly Difference[] {
  const part = (each: ResolvedTopology | Trajectory): Trajectory =>
    'file' in each ? trajectory(each) : each;
  return diffValues(part(before), part(after));
}
