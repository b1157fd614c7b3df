import { assert } from '@troupe/core';
import type { Device, Ints } from '@troupe/kernel-set';
import { StageShapeError } from './errors.ts';

/** Which rank of the expert-parallel group has which experts of a layer; rows, and counts of rows, lie by rank, then by expert. */
export class ExpertRanks {
  /** On the device, [E]. */
  readonly rankOf_E: Ints;
  readonly #firsts: readonly number[];

  /** @throws {StageShapeError} TROUPE_MODEL_SHAPE when an expert has a rank that there is not */
  constructor(device: Device, rankOf_E: Int32Array, ranks: number) {
    const held = Array.from({ length: ranks }, () => 0);
    for (const [expert, rank] of rankOf_E.entries()) {
      const before = held[rank];
      if (before === undefined)
        throw new StageShapeError(`expert ${expert} is on rank ${rank} of ${ranks}`, { expert, rank, ranks });
      held[rank] = before + 1;
    }
    let first = 0;
    this.#firsts = [0, ...held.map((count) => (first += count))];
    this.rankOf_E = device.upload(rankOf_E);
  }

  /** Experts [first, end) of a rank, in the order of rows. */
  of(rank: number): { readonly first: number; readonly end: number } {
    const [first, end] = [this.#firsts[rank], this.#firsts[rank + 1]];
    assert(first !== undefined && end !== undefined, 'the rank belongs to the group', { rank });
    return { first, end };
  }
}

/**
 * E / ranks experts each, in order.
 *
 * @throws {StageShapeError} TROUPE_MODEL_SHAPE when ranks do not divide experts
 */
export function contiguousRanks(experts: number, ranks: number): Int32Array {
  if (experts % ranks !== 0)
    throw new StageShapeError(`${experts} experts are not divisible by ${ranks} ranks`, { experts, ranks });
  return Int32Array.from({ length: experts }, (_, expert) => Math.floor((expert * ranks) / experts));
}
