import { assert } from '@troupe/core';
import type { Device, Floats, Halves, Precision } from '@troupe/kernel-set';
import { DeferredWeights } from '@troupe/model';
import { GrowingStorage } from './growing-storage.ts';

type Direction = 'forward' | 'backward';
/** One a chunk of a source. */
type Rooms<A extends Floats | Halves> = readonly GrowingStorage<A>[];

/** Whose rows, and which part of them. */
export interface ArrivalPlace {
  readonly source: number;
  readonly chunk: number;
}

interface PassRoomOptions {
  readonly numSources: number;
  readonly numChunks: number;
  readonly precision: Precision;
  readonly recompute: boolean;
}

/** Room for what of one pass lies neither in a gate's own buffers nor in frames that arrived. */
export class PassRoom {
  /** Gradients of matrices that wait, where they do. */
  readonly deferred: DeferredWeights;
  readonly #numChunks: number;
  /** One a chunk. */
  readonly #saved: Rooms<Floats | Halves>;
  readonly #outputs: Rooms<Floats>;
  readonly #inputGradients: Rooms<Floats>;
  readonly #widened: Readonly<Record<Direction, Rooms<Floats>>>;
  readonly #packed: Readonly<Record<Direction, Rooms<Halves>>>;

  constructor(device: Device, { numSources, numChunks, precision, recompute }: PassRoomOptions) {
    this.#numChunks = numChunks;
    this.deferred = new DeferredWeights({ device, recompute });
    const floats = (length: number): Floats => device.floats(length);
    const halves = (length: number): Halves => device.halves(length);
    const rooms = <A extends Floats | Halves>(length: number, allocate: (length: number) => A): Rooms<A> =>
      Array.from({ length }, () => new GrowingStorage(allocate));
    const each = <A extends Floats | Halves>(allocate: (length: number) => A): Rooms<A> =>
      rooms(numSources * numChunks, allocate);
    this.#outputs = each(floats);
    this.#inputGradients = each(floats);
    this.#widened = { forward: each(floats), backward: each(floats) };
    this.#packed = { forward: each(halves), backward: each(halves) };
    this.#saved = rooms<Floats | Halves>(numChunks, precision === 'bf16' ? halves : floats);
  }

  /** Pre-activations of the rows of all sources. */
  saved(chunk: number, length: number): Floats | Halves {
    return taken(this.#saved, chunk, length);
  }

  /** Outputs of the rows of a source that lives elsewhere. */
  outputs(place: ArrivalPlace, length: number): Floats {
    return taken(this.#outputs, this.#index(place), length);
  }

  /** The same of the gradients of its rows. */
  inputGradients(place: ArrivalPlace, length: number): Floats {
    return taken(this.#inputGradients, this.#index(place), length);
  }

  /** Rows that came from a source in bf16, as kernels read them. */
  widened(direction: Direction, place: ArrivalPlace, length: number): Floats {
    return taken(this.#widened[direction], this.#index(place), length);
  }

  /** Results for a source that lives elsewhere, as they travel in bf16. */
  packed(direction: Direction, place: ArrivalPlace, length: number): Halves {
    return taken(this.#packed[direction], this.#index(place), length);
  }

  #index({ source, chunk }: ArrivalPlace): number {
    return source * this.#numChunks + chunk;
  }
}

function taken<A extends Floats | Halves>(rooms: Rooms<A>, index: number, length: number): A {
  const room = rooms[index];
  assert(room, 'every chunk of every source has its room', { index });
  return room.take(length);
}
