import { assert } from '@troupe/core';
import { elementsTo, ExpertSeats, type ShardPlace } from '@troupe/topology/layout';
import { unpackedParts, type MovedPart, type PackedParts } from './moved-parts.ts';
import { lengthOf } from './range.ts';
import type { Worker } from './worker.ts';

/**
 * Experts on their way to a shard, or to the copy of one.
 *
 * MOV-1: what comes lies beside what is held until the attempt begins in which experts sit elsewhere; that begins when all that moves lies
 * so everywhere. Before, a loss leaves everything as it was; after, whoever lives has what is its own from then on.
 */
export class MovingExperts {
  readonly #worker: Worker;
  readonly #place: ShardPlace;
  /** Those under which the state here is held. */
  #held: ExpertSeats;
  #after: ExpertSeats | null = null;
  #expected = 0;
  #elements = 0;
  #parts: MovedPart[] = [];

  constructor(worker: Worker, place: ShardPlace) {
    this.#worker = worker;
    this.#place = place;
    this.#held = worker.seats;
  }

  /** Experts are to sit as `groups_LE` says. */
  begin(groups_LE: Int32Array): { readonly before: ExpertSeats; readonly after: ExpertSeats } {
    const after = new ExpertSeats(this.#worker.job.layout, Int32Array.from(groups_LE));
    this.#after = after;
    this.#expected = this.hasExperts ? elementsTo(this.#place, this.#held, after) : 0;
    return { before: this.#held, after };
  }

  get hasExperts(): boolean {
    return this.#place.group.reader === 'experts';
  }

  /** What comes, of which a faster shard may send before this one hears of the move. It stays as it is until it is taken. */
  put(packed: PackedParts): void {
    const parts = unpackedParts(packed, this.#place.group.state);
    this.#elements += parts.reduce((sum, { range }) => sum + lengthOf(range), 0);
    this.#parts.push(...parts);
    const isOnce = this.#after === null || this.#elements <= this.#expected;
    assert(isOnce, 'a part of an expert comes once (MOV-1)', { found: this.#elements });
  }

  /** All that comes is here. */
  get isStaged(): boolean {
    return this.#after !== null && this.#elements === this.#expected;
  }

  /**
   * A new attempt has begun.
   *
   * @returns what takes its seats here now; nothing where experts sit as before
   */
  enter(): readonly MovedPart[] {
    const { seats } = this.#worker;
    const [after, parts, isStaged] = [this.#after, this.#parts, this.isStaged];
    this.#after = null;
    this.#parts = [];
    this.#elements = 0;
    if (seats.equals(this.#held.groups_LE) || !isStaged || after?.equals(seats.groups_LE) !== true) return [];
    this.#held = seats;
    return parts;
  }

  /** What is held is of the experts that sit here. */
  get holds(): boolean {
    return !this.hasExperts || this.#worker.seats.equals(this.#held.groups_LE);
  }

  /** All of the state has come from elsewhere, by the names of this attempt. */
  settle(): void {
    this.#held = this.#worker.seats;
  }
}
