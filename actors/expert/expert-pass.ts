import { assert, type Address } from '@troupe/core';
import type { Floats, Halves, Ints } from '@troupe/kernel-set';
import type { PassMode } from '../messages.ts';
import type { ArrivalPlace, PassRoom } from './pass-room.ts';

/** Rows that came for a pass. */
export interface ArrivedRows {
  /** As kernels read them: as they came, or widened from `packed`. */
  readonly rows_UD: Floats;
  /** As they came in bf16; null where they came as kernels read them. */
  readonly packed: Halves | null;
}

/** What one source sent of a chunk of a pass. U distinct rows, N rows of experts. */
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

/** A place for each chunk of each source; each is filled once. */
class Arrivals<A> {
  readonly #direction: string;
  /** By source, then by chunk. */
  readonly #arrivals: readonly A[][];

  constructor(direction: string, numSources: number) {
    this.#direction = direction;
    this.#arrivals = Array.from({ length: numSources }, () => []);
  }

  /** PAS-1: an arrival is keyed by pass, direction, source and chunk, and its place is free. EXP-5: chunks of a source come in their order. */
  put({ source, chunk }: ArrivalPlace, arrival: A, id: ExpertPassId): void {
    const { step, attempt, microbatch } = id;
    const at = { direction: this.#direction, source, chunk, step, attempt, microbatch };
    const chunks = this.#arrivals[source];
    assert(chunks, 'a source is one of the group', at);
    assert(chunk >= chunks.length, 'the place of an arrival is free', at);
    assert(chunk === chunks.length, 'no chunk overtakes another one of its source', at);
    chunks.push(arrival);
  }

  at({ source, chunk }: ArrivalPlace): A {
    const arrival = this.#arrivals[source]?.[chunk];
    assert(arrival, 'a chunk runs when every source has arrived', {
      direction: this.#direction,
      source,
      chunk,
    });
    return arrival;
  }

  /** In the order of sources, which is that of computing. */
  all(chunk: number): readonly A[] {
    return this.#arrivals.map((_, source) => this.at({ source, chunk }));
  }

  /** All chunks of a source. */
  of(source: number): readonly A[] {
    return this.#arrivals[source] ?? [];
  }
}

/** One pass at an expert group: what has arrived for it, and what its forward half leaves for its backward half. */
export class ExpertPass {
  readonly mode: PassMode;
  readonly forward: Arrivals<ForwardArrival>;
  readonly backward: Arrivals<BackwardArrival>;
  /** Pre-activations of all rows, by chunk; none before the forward half ran, and in an evaluation. */
  readonly saved = new Map<number, Floats | Halves>();
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
