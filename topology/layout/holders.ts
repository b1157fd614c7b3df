import { assert } from '@troupe/core';
import { workerRank, type WorkerRank } from './rank.ts';

/** Workers at equal distances. */
export interface Run {
  readonly first: number;
  readonly stride: number;
  readonly count: number;
}

/**
 * Workers in an order, as a function: a list for every device of a cluster would grow with the square of their number.
 *
 * One run in nearly all cases; two where the first and the last stage hold the same.
 */
export class Holders {
  readonly count: number;
  readonly #runs: readonly Run[];

  /** @param runs - no worker lies on two of them */
  constructor(runs: readonly Run[]) {
    assert(
      runs.every(({ stride, count }) => stride >= 1 && count >= 1),
      'runs go forward and are not empty',
    );
    this.#runs = runs;
    this.count = runs.reduce((sum, { count }) => sum + count, 0);
  }

  at(position: number): WorkerRank {
    assert(position >= 0 && position < this.count, 'a position lies below the number of holders', {
      position,
      count: this.count,
    });
    let [rest, run] = [position, 0];
    while (rest >= (this.#runs[run]?.count ?? Infinity)) rest -= this.#runs[run++]?.count ?? 0;
    const { first = 0, stride = 1 } = this.#runs[run] ?? {};
    return workerRank(first + rest * stride);
  }

  /** Where a worker stands among them; null: it is not one of them. */
  positionOf(worker: number): number | null {
    let before = 0;
    for (const { first, stride, count } of this.#runs) {
      const distance = worker - first;
      if (distance >= 0 && distance % stride === 0 && distance < stride * count)
        return before + distance / stride;
      before += count;
    }
    return null;
  }

  *[Symbol.iterator](): Generator<WorkerRank> {
    for (let position = 0; position < this.count; position++) yield this.at(position);
  }
}
