import { fileKinds } from './data-kinds.ts';
import { assert } from '@troupe/core';
import type { ConfigPath, ConfigTable } from '@troupe/spec';
import type { FilledTopology } from './fill.ts';
import type { ResolvedTopology } from './resolved.ts';
import { deciding, type Deciding } from './run-settings.ts';

/** What decides every number of a run: equal on resume, whatever the layout. */
export type Trajectory = Pick<FilledTopology, 'model'> & {
  readonly data: object;
  readonly train: Pick<FilledTopology['train'], Deciding<'train'>>;
  /** Rows are rounded to this format. */
  readonly wire: Pick<FilledTopology['wire'], Deciding<'wire'>>;
};

/**
 * The key of the file that decides each setting of a model, so that another value of it is refused on resume. Null: no key does; parameters
 * of an own expert come from a program, and the names and shapes of a checkpoint's tensors say whether they are the same.
 */
export const trajectoryKeys: ConfigTable<string | null> = {
  vocab: 'vocab',
  layers: 'layers',
  encoder: 'encoder',
  'encoder.layers': 'encoder.layers',
  'encoder.seqLen': 'encoder.seqLen',
  positions: 'positions',
  dModel: 'dModel',
  heads: 'heads',
  kvHeads: 'kvHeads',
  headDim: 'headDim',
  mla: 'mla',
  'mla.qRank': 'mla.qRank',
  'mla.kvRank': 'mla.kvRank',
  'mla.nopeDim': 'mla.nopeDim',
  'mla.ropeDim': 'mla.ropeDim',
  'mla.valueDim': 'mla.valueDim',
  seqLen: 'seqLen',
  'norm.kind': 'norm',
  'norm.eps': 'normEps',
  qkNorm: 'qkNorm',
  'rope.theta': 'rope.theta',
  'relative.buckets': 'relative.buckets',
  'relative.maxDistance': 'relative.maxDistance',
  tiedHead: 'tiedHead',
  'init.scale': 'init.scale',
  'init.embedding': 'init.embedding',
  'ffn.activation': 'ffn.kind',
  'ffn.dFf': 'ffn.dFf',
  moe: 'moe',
  'moe.every': 'moe.every',
  'moe.firstDense': 'moe.firstDense',
  'moe.experts': 'moe.experts',
  'moe.topK': 'moe.topK',
  'moe.dExpert': 'moe.granularity',
  'moe.sharedExperts': 'moe.sharedExperts',
  'moe.router.kind': 'moe.router.kind',
  'moe.router.scores': 'moe.router.scores',
  'moe.router.groups': 'moe.router.groups',
  'moe.router.topGroups': 'moe.router.topGroups',
  'moe.router.scale': 'moe.router.scale',
  'moe.router.groupSequences': 'moe.router.groupSequences',
  'moe.router.generate': 'moe.router.generate',
  'moe.router.sampling': 'moe.router.sampling',
  'moe.router.jitter': 'moe.router.jitter',
  'moe.capacity.train': 'moe.capacity.train',
  'moe.capacity.eval': 'moe.capacity.eval',
  'moe.capacity.min': 'moe.capacity.min',
  'moe.capacity.drop': 'moe.capacity.drop',
  'moe.capacity.weights': 'moe.capacity.weights',
  'moe.norm': 'moe.norm',
  'moe.renormalise': 'moe.router.renormalise',
  'moe.choice': 'moe.router.choice',
  'moe.balance.auxLoss': 'moe.balance.auxLoss',
  'moe.balance.zLoss': 'moe.balance.zLoss',
  'moe.balance.scope': 'moe.balance.scope',
  'moe.balance.domain': 'moe.balance.domain',
  'moe.balance.layers': 'moe.balance.layers',
  'moe.balance.bias': 'moe.balance.bias',
  'moe.expertParameters': null,
};

/** Value at a dotted key; undefined where there is none, null below a null. */
const valueAt = (tree: unknown, key: string): unknown =>
  key
    .split('.')
    .reduce<unknown>(
      (node, name) =>
        node === null ? null : (node as Readonly<Record<string, unknown>> | undefined)?.[name],
      tree,
    );

/** `data` without the names of its files, which may have moved, and how they come to machines: what is in them decides, and a checkpoint holds its hash. */
function dataOf(given: FilledTopology['data']): object {
  const { ship: _ship, ...data } = given;
  const named = fileKinds.filter((key) => data[key] !== undefined);
  return { ...data, ...Object.fromEntries(named.map((key) => [key, 'files'])) };
}

/** One dotted key that differs; undefined where a side lacks it. */
export interface Difference {
  readonly key: string;
  readonly before: unknown;
  readonly after: unknown;
}

/**
 * The part of a topology that must not change on resume: model, data, train, and the format of rows. Machines, device, parallel, placement,
 * the rest of wire, checkpoint, metrics, recovery and eval may, and so may microbatches, recomputation, the name, which is a label, and where
 * files lie.
 */
export function trajectory({ file }: ResolvedTopology): Trajectory {
  for (const [path, key] of Object.entries(trajectoryKeys) as [ConfigPath, string | null][])
    assert(
      key === null || valueAt(file.model, key) !== undefined,
      'what decides a setting of the model is in the file',
      { path },
    );
  return {
    model: file.model,
    data: dataOf(file.data),
    train: deciding('train', file.train),
    wire: deciding('wire', file.wire),
  };
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
