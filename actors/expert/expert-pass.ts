import { assert, type Address } from '@troupe/core';
import type { Floats, Halves, Ints } from '@troupe/kernel-set';
import type { PassMode } from '../messages.ts';
import type { PassRoom } from './pass-room.ts';

/** Rows that came for a pass. */
export interface ArrivedRows {
  /** As kernels read them: as they came, or widened from `packed`. */
  readonly rows_UD: Floats;
  /** As they came in bf16; null where they came as kernels read them. */
  readonly packed: Halves | null;
}

/** What one source sent for a pass. U distinct rows, N rows of experts. */
export interface ForwardArrival {
  /** Who sent it, and gets the answer. */
  readonly gate: Address;
  readonly x: ArrivedRows;
  readonly slots_N: Ints;
  readonly counts_EG: Ints;
  readonly y_ND: Floats;
}

/** What the same source sends for the backward pass. */
export interface BackwardArrival {
  readonly gate: Address;
  readonly dOut: ArrivedRows;
  readonly rowWeights_N: Floats;
  readonly dx_ND: Floats;
}

/** Which pass, in words that tell it from every other. */
export interface ExpertPassId {
  readonly step: number;
  readonly attempt: number;
  readonly microbatch: number;
}

/** A place for each source, in order; each is filled once. */
class Arrivals<A> {
  readonly #direction: string;
  readonly #arrivals: (A | undefined)[];

  constructor(direction: string, numSources: number) {
    this.#direction = direction;
    this.#arrivals = Array.from({ length: numSources }, () => undefined);
  }

  /** PAS-1: an arrival is keyed by pass, direction and source, and its place is free. */
  put(source: number, arrival: A, id: ExpertPassId): void {
    const { step, attempt, microbatch } = id;
    const at = { direction: this.#direction, source, step, attempt, microbatch };
    assert(source >= 0 && source < this.#arrivals.length, 'a source is one of the group', at);
    assert(this.#arrivals[source] === undefined, 'the place of an arrival is free', at);
    this.#arrivals[source] = arrival;
  }

  at(source: number): A {
    const arrival = this.#arrivals[source];
    assert(arrival, 'a pass runs when every source has arrived', { direction: this.#direction, source });
    return arrival;
  }

  /** In the order of sources, which is that of computing. */
  all(): readonly A[] {
    return this.#arrivals.map((_, source) => this.at(source));
  }
}

/** One pass at an expert group: what has arrived for it, and what its forward half leaves for its backward half. */
export class ExpertPass {
  readonly mode: PassMode;
  readonly forward: Arrivals<ForwardArrival>;
  readonly backward: Arrivals<BackwardArrival>;
  /** Pre-activations of all rows; null before the forward half ran, and in an evaluation. */
  saved: Floats | Halves | null = null;
  /** The step has no further microbatch: gradients are complete behind this pass. */
  isLast = false;
  /** The pass beside that has asked for the gradients of matrices, where these wait. */
  asker: Address | null = null;
  readonly id: ExpertPassId;
  readonly room: PassRoom;

  constructor(
    id: ExpertPassId,
    made: { readonly mode: PassMode; readonly numSources: number; readonly room: PassRoom },
  ) {
    const { step, attempt, microbatch } = id;
    this.id = { step, attempt, microbatch };
    this.mode = made.mode;
    this.room = made.room;
    this.forward = new Arrivals('forward', made.numSources);
    this.backward = new Arrivals('backward', made.numSources);
  }
}
