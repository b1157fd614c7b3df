import { assert, type Address } from '@troupe/core';
import { addresses, type Layout, type WorkerRank } from '@troupe/topology/layout';
import type { Answerer } from './context.ts';
import { shares, type Share } from './share.ts';

/** Who answers the trainer of a run: stages and shards, what keeps copies of shards, and couriers whose shards are on a host. */
export function answerersOf(
  layout: Layout,
): Readonly<Record<'stages' | 'shards' | 'wards' | 'couriers', readonly Answerer[]>> {
  const workers = [...layout.workers()];
  return {
    stages: Array.from(layout.stageWorkers(), (worker) => ({ address: layout.stageOf(worker), worker })),
    shards: workers.flatMap((worker) =>
      layout.groupsOf(worker).map((group) => ({
        address: layout.shardOf(group, worker),
        worker: layout.homeOf(worker),
      })),
    ),
    // Where no shard lives beside a stage, nobody else says that its device has left an attempt.
    couriers: workers
      .filter((worker) => layout.homeOf(worker) !== worker)
      .flatMap((worker) =>
        layout.groupsOf(worker).flatMap((group) => {
          const address = layout.courierOf(group, worker);
          return address === null ? [] : [{ address, worker }];
        }),
      ),
    wards: [...layout.nodes()].flatMap((node) =>
      layout.wardsOf(node).map((ward) => ({ address: layout.wardOf(ward.group, ward.worker), worker: node })),
    ),
  };
}

/** Everybody that the trainer speaks to, by address. */
export class Company {
  /** Workers and hosts. */
  readonly nodes: readonly WorkerRank[];
  readonly feeders: readonly Address[];
  readonly stages: readonly Address[];
  readonly shards: readonly Address[];
  /** Shards and the copies of shards: all that carries out a decision. */
  readonly holders: readonly Address[];
  readonly store = addresses.store(0);
  readonly #shares: ReadonlyMap<Address, Share>;

  constructor(layout: Layout) {
    const { stages, shards, wards } = answerersOf(layout);
    this.nodes = [...layout.nodes()];
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
