import { assert, type Address } from '@troupe/core';
import { addresses, type Layout, type WorkerRank } from '@troupe/topology/layout';
import type { Answerer } from './context.ts';
import { shares, type Share } from './share.ts';

/** The stages and shards of a run, and what keeps copies of shards: they answer its trainer. */
export function answerersOf(
  layout: Layout,
): Readonly<Record<'stages' | 'shards' | 'wards', readonly Answerer[]>> {
  const workers = [...layout.workers()];
  return {
    stages: workers.map((worker) => ({ address: layout.stageOf(worker), worker })),
    shards: workers.flatMap((worker) =>
      layout.groupsOf(worker).map((group) => ({ address: layout.shardOf(group, worker), worker })),
    ),
    wards: workers.flatMap((worker) =>
      layout.wardsOf(worker).map((ward) => ({ address: layout.wardOf(ward.group, ward.worker), worker })),
    ),
  };
}

/** Everybody that the trainer speaks to, by address. */
export class Company {
  readonly workers: readonly WorkerRank[];
  readonly feeders: readonly Address[];
  readonly stages: readonly Address[];
  readonly shards: readonly Address[];
  /** Shards and the copies of shards: all that carries out a decision. */
  readonly holders: readonly Address[];
  readonly store = addresses.store(0);
  readonly #shares: ReadonlyMap<Address, Share>;

  constructor(layout: Layout) {
    const { stages, shards, wards } = answerersOf(layout);
    this.workers = [...layout.workers()];
    this.feeders = Array.from(layout.replicas(), (dp) => addresses.feeder({ dp }));
    this.stages = stages.map(({ address }) => address);
    this.shards = shards.map(({ address }) => address);
    this.holders = [...shards, ...wards].map(({ address }) => address);
    const shareOf = shares(layout);
    this.#shares = new Map(stages.map(({ address, worker }) => [address, shareOf(worker)]));
  }

  /** What a stage's measure adds to the sums of a step. */
  shareOf(stage: Address): Share {
    const share = this.#shares.get(stage);
    assert(share, 'only stages measure', { stage });
    return share;
  }
}
