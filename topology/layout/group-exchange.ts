import { assert } from '@troupe/core';
import { Exchange, type ElementRange } from '@troupe/spec';
import type { ParameterGroup } from './parameter-group.ts';
import type { WorkerRank } from './rank.ts';

/** Another holder of the same parameters, and the part of the buffer that it completes at a level. */
export interface Holder {
  readonly worker: WorkerRank;
  readonly part: ElementRange;
}

/** What the shard of a group on one worker exchanges with which other workers. */
export class GroupExchange {
  readonly exchange: Exchange;
  readonly #others: readonly (readonly Holder[])[];

  constructor({ holders, exchange, flat, cut }: ParameterGroup, worker: WorkerRank) {
    const position = holders.positionOf(worker);
    assert(position !== null, 'a worker exchanges what it holds', { worker });
    this.exchange = new Exchange(flat.length, position, exchange, cut);
    this.#others = exchange.map((_, level) =>
      this.exchange.others(level).map((other) => ({ worker: holders.at(other.position), part: other.part })),
    );
  }

  /** The members of the shard's group at a level without itself, in the order of their parts. */
  others(level: number): readonly Holder[] {
    return this.#others[level] ?? [];
  }

  /** What the shard completes alone. */
  get slice(): ElementRange {
    return this.exchange.part(this.exchange.numLevels);
  }
}
