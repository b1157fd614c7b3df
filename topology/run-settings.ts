import type { FilledTopology } from './fill.ts';

type Part = 'parallel' | 'train' | 'wire';

/** Settings of how a run is carried out: `parallel.dp`, `train.recompute`, `wire.dtype` … */
export type RunSetting = { [P in Part]: `${P}.${keyof FilledTopology[P] & string}` }[Part];

/** A decision about every one of them. A key that is added to the schema does not compile until each such table has decided about it. */
export type RunTable<Decision> = Readonly<Record<RunSetting, Decision>>;

/** Whether a setting decides numbers, so that a checkpoint of one value is not resumed with another; or only how they come about. */
export const decidesNumbers = {
  'parallel.dp': false,
  'parallel.ep': false,
  'parallel.pp': false,
  'parallel.tp': false,
  'parallel.zero': false,
  'parallel.offload': false,
  'parallel.pipeline': false,
  'parallel.chunks': false,
  'parallel.stages': false,
  'parallel.rankOrder': false,
  'parallel.expertsSliced': false,
  'parallel.experts': false,
  'parallel.rebalanceEvery': false,
  'train.steps': true,
  'train.scheduleFrom': true,
  'train.batch': true,
  'train.grains': true,
  'train.microbatches': false,
  'train.recompute': false,
  'train.optimizer': true,
  'train.precision': true,
  'train.labelSmoothing': true,
  'train.tensorSegments': true,
  'train.maxSkipped': false,
  'train.seed': true,
  'wire.dtype': true,
  'wire.security': false,
  'wire.port': false,
  'wire.interface': false,
  'wire.fanout': false,
  'wire.chunkBytes': false,
} as const satisfies RunTable<boolean>;

/** Keys of a part that decide numbers. */
export type Deciding<P extends Part> = {
  [K in keyof FilledTopology[P] & string]: (typeof decidesNumbers)[`${P}.${K}` & RunSetting] extends true
    ? K
    : never;
}[keyof FilledTopology[P] & string];

/** What of a part of a topology decides numbers. */
export function deciding<P extends Part>(
  part: P,
  values: FilledTopology[P],
): Pick<FilledTopology[P], Deciding<P>> {
  const decided: Readonly<Record<string, boolean>> = decidesNumbers;
  return Object.fromEntries(
    Object.entries(values).filter(([key]) => decided[`${part}.${key}`] === true),
  ) as Pick<FilledTopology[P], Deciding<P>>;
}
