import { assert } from '@troupe/core';
import type { Device, Floats, Halves, Precision } from '@troupe/kernel-set';
import { DeferredWeights } from '@troupe/model';
import { GrowingStorage } from './growing-storage.ts';

type Direction = 'forward' | 'backward';
/** One a source. */
type Rooms<A extends Floats | Halves> = readonly GrowingStorage<A>[];

/** Room for what of one pass lies neither in a gate's own buffers nor in frames that arrived. */
export class PassRoom {
  readonly saved: GrowingStorage<Floats | Halves>;
  /** Gradients of matrices that wait, where they do. */
  readonly deferred: DeferredWeights;
  readonly #outputs: Rooms<Floats>;
  readonly #inputGradients: Rooms<Floats>;
  readonly #widened: Readonly<Record<Direction, Rooms<Floats>>>;
  readonly #packed: Readonly<Record<Direction, Rooms<Halves>>>;

  constructor(device: Device, numSources: number, precision: Precision, recompute: boolean) {
    this.deferred = new DeferredWeights({ device, recompute });
    const floats = (length: number): Floats => device.floats(length);
    const halves = (length: number): Halves => device.halves(length);
    const each = <A extends Floats | Halves>(allocate: (length: number) => A): Rooms<A> =>
      Array.from({ length: numSources }, () => new GrowingStorage(allocate));
    this.#outputs = each(floats);
    this.#inputGradients = each(floats);
    this.#widened = { forward: each(floats), backward: each(floats) };
    this.#packed = { forward: each(halves), backward: each(halves) };
    this.saved = new GrowingStorage<Floats | Halves>(precision === 'bf16' ? halves : floats);
  }

  /** Outputs of the rows of a source that lives elsewhere. */
  outputs(source: number, length: number): Floats {
    return taken(this.#outputs, source, length);
  }

  /** The same of the gradients of its rows. */
  inputGradients(source: number, length: number): Floats {
    return taken(this.#inputGradients, source, length);
  }

  /** Rows that came from a source in bf16, as kernels read them. */
  widened(direction: Direction, source: number, length: number): Floats {
    return taken(this.#widened[direction], source, length);
  }

  /** Results for a source that lives elsewhere, as they travel in bf16. */
  packed(direction: Direction, source: number, length: number): Halves {
    return taken(this.#packed[direction], source, length);
  }
}

function taken<A extends Floats | Halves>(rooms: Rooms<A>, source: number, length: number): A {
  const room = rooms[source];
  assert(room, 'a source is one of the group', { source });
  return room.take(length);
}
