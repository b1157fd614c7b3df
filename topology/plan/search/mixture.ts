import { routingDomain } from '@troupe/spec';
import { divisors } from '../../nearest.ts';
import type { ResolvedTopology } from '../../resolved.ts';

/** What a search does with every key of `parallel`: tries its values, or takes what follows from others, or what the topology says. */
const parallelKeys = {
  pp: 'tried',
  dp: 'tried',
  tp: 'tried',
  ep: 'tried',
  zero: 'tried',
  offload: 'tried',
  pipeline: 'tried',
  chunks: 'tried',
  edp: 'follows',
  world: 'follows',
  expertWorkers: 'follows',
  devices: 'follows',
  stages: 'kept',
  rankOrder: 'kept',
  expertsSliced: 'kept',
  experts: 'kept',
  rebalanceEvery: 'kept',
} as const satisfies Readonly<Record<keyof ResolvedTopology['parallel'], Decision>>;

/** The same of `train`: what changes numbers is kept. */
const trainKeys = {
  microbatches: 'tried',
  recompute: 'tried',
  steps: 'kept',
  scheduleFrom: 'kept',
  batch: 'kept',
  grains: 'kept',
  optimizer: 'kept',
  precision: 'kept',
  tensorSegments: 'kept',
  labelSmoothing: 'kept',
  maxSkipped: 'kept',
  seed: 'kept',
} as const satisfies Readonly<Record<keyof ResolvedTopology['train'], Decision>>;

type Decision = 'tried' | 'follows' | 'kept';

/** Keys that are tried. */
type Tried<Table> = { [Key in keyof Table]: Table[Key] extends 'tried' ? Key : never }[keyof Table];

type TriedParallel = Tried<typeof parallelKeys>;
type TriedTrain = Tried<typeof trainKeys>;

/** One way to divide the work. */
export type Mixture = Pick<ResolvedTopology['parallel'], TriedParallel> &
  Pick<ResolvedTopology['train'], TriedTrain>;

const triedOf = <Table extends object>(table: Table): readonly Tried<Table>[] =>
  Object.entries(table).flatMap(([key, decision]) => (decision === 'tried' ? [key as Tried<Table>] : []));

/** The mixture that a topology describes. */
export function mixtureOf({ parallel, train }: ResolvedTopology): Mixture {
  const { pp, dp, tp, ep, zero, offload, pipeline, chunks } = parallel;
  const { microbatches, recompute } = train;
  return { pp, dp, tp, ep, zero, offload, pipeline, chunks, microbatches, recompute };
}

/** Gradients of matrices wait, as {@link Layout.defersMatrices} has it. */
export const defersMatrices = ({ pipeline, zero, offload }: Mixture): boolean =>
  pipeline === 'zero-bubble' && zero < 2 && offload === 'none';

/** Overrides that make any topology of this model and these machines the mixture. */
export const overridesOf = (mixture: Mixture): readonly string[] => [
  ...triedOf(parallelKeys).map((key) => `parallel.${key}=${mixture[key]}`),
  ...triedOf(trainKeys).map((key) => `train.${key}=${mixture[key]}`),
];

/** The same topology, divided so: for figures; a topology to run comes from its overrides. */
export function dividedSo(topology: ResolvedTopology, mixture: Mixture): ResolvedTopology {
  const { microbatches, recompute, ...axes } = mixture;
  const { pp, dp, tp, ep } = axes;
  return {
    ...topology,
    parallel: {
      ...topology.parallel,
      ...axes,
      edp: dp / ep,
      world: pp * dp * tp,
      expertWorkers: 0,
      devices: null,
    },
    train: { ...topology.train, microbatches, recompute },
  };
}

/** The axes of a mixture, without what changes memory and time inside them. */
export type Axes = Pick<Mixture, 'pp' | 'dp' | 'tp' | 'ep'>;

/** Tensor ranks share heads and hidden units evenly. */
export function tensorSizes({ model, parallel, train }: ResolvedTopology): readonly number[] {
  const { heads, kvHeads, ffn, moe } = model;
  const hidden = [
    ...(moe === null || moe.every > 1 || moe.firstDense > 0 ? [ffn.dFf] : []),
    ...(moe !== null && (parallel.expertsSliced || moe.sharedExperts > 0) ? [moe.dExpert] : []),
  ];
  return divisors(heads).filter(
    (tp) =>
      hidden.every((size) => size % tp === 0) &&
      (kvHeads % tp === 0 || tp % kvHeads === 0) &&
      (train.tensorSegments === 1 || train.tensorSegments % tp === 0),
  );
}

/** Into how many runs of blocks stages may cut a model: a table of positions is read by all blocks of a stream. */
export function mostRuns({ layers, positions, encoder }: ResolvedTopology['model']): number {
  if (positions !== 't5') return layers;
  return encoder === null ? 1 : 2;
}

/** Every mesh that uses all devices. */
export function* axesOf(topology: ResolvedTopology): Generator<Axes> {
  const { model, train, parallel, machines } = topology;
  const world = machines.reduce((sum, { devices }) => sum + devices.length, 0);
  const experts = model.moe?.experts ?? 1;
  const isByHand = typeof parallel.experts !== 'string';
  for (const tp of tensorSizes(topology)) {
    if (world % tp !== 0) continue;
    for (const pp of divisors(world / tp)) {
      const dp = world / tp / pp;
      if (pp > mostRuns(model) || train.grains % dp !== 0) continue;
      for (const ep of divisors(dp))
        if (experts % ep === 0 && (!isByHand || ep === parallel.ep)) yield { pp, dp, tp, ep };
    }
  }
}

/** Schedules of a pipeline of so many stages and microbatches. */
export function schedulesOf(
  { model, parallel }: ResolvedTopology,
  { pp }: Axes,
  microbatches: number,
): readonly Pick<Mixture, 'pipeline' | 'chunks'>[] {
  const isGlobal = model.moe?.balance.scope === 'global' && microbatches > 1;
  const gpipe = { pipeline: 'gpipe', chunks: 1 } as const;
  if (isGlobal) return [gpipe];
  const one = { pipeline: '1f1b', chunks: 1 } as const;
  if (pp === 1) return [one];
  const interleaved = [2, 4]
    .filter((chunks) => pp * chunks <= mostRuns(model) && microbatches % pp === 0)
    .map((chunks) => ({ pipeline: 'interleaved' as const, chunks }));
  // What latent attention's gradients would wait with is not known.
  const waits = model.mla === null ? [{ pipeline: 'zero-bubble', chunks: 1 } as const] : [];
  const all = [one, ...waits, ...interleaved];
  return parallel.stages === null ? all : all.filter(({ chunks }) => pp * chunks === parallel.stages?.length);
}

/** Into how many microbatches replicas can divide their part of a step; a choice group lies within one. */
export const microbatchesOf = (
  { train, model: { moe } }: ResolvedTopology,
  { dp }: Axes,
): readonly number[] =>
  divisors(train.grains / dp).filter(
    (count) => (train.batch / count) % routingDomain(moe, train.batch / train.grains) === 0,
  );

/** States that replicas can share: with one of them there is nothing to share. */
export const shardingsOf = ({ dp, tp }: Axes): readonly Pick<Mixture, 'zero' | 'offload'>[] => {
  const stages = dp * tp === 1 ? ([1] as const) : ([0, 1, 2, 3] as const);
  return stages.flatMap((zero) =>
    (['none', 'optimizer'] as const).flatMap((offload) =>
      offload === 'optimizer' && zero === 0 ? [] : [{ zero, offload }],
    ),
  );
};
