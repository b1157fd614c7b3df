import { assert } from '@troupe/core';
import type { Device, Floats, Halves, Precision } from '@troupe/kernel-set';
import { GrowingStorage } from './growing-storage.ts';

/** Room for what of one pass lies neither in a gate's own buffers nor in frames that arrived. */
export class PassRoom {
  readonly saved: GrowingStorage<Floats | Halves>;
  readonly #outputs: readonly GrowingStorage<Floats>[];
  readonly #inputGradients: readonly GrowingStorage<Floats>[];

  constructor(device: Device, numSources: number, precision: Precision) {
    const floats = (length: number): Floats => device.floats(length);
    const each = (): readonly GrowingStorage<Floats>[] =>
      Array.from({ length: numSources }, () => new GrowingStorage(floats));
    this.#outputs = each();
    this.#inputGradients = each();
    this.saved = new GrowingStorage<Floats | Halves>(
      precision === 'bf16' ? (length) => device.halves(length) : floats,
    );
  }

  /** Outputs of the rows of a source that lives elsewhere. */
  outputs(source: number, length: number): Floats {
    return taken(this.#outputs, source, length);
  }

  /** The same of the gradients of its rows. */
  inputGradients(source: number, length: number): Floats {
    return taken(this.#inputGradients, source, length);
  }
}

function taken(rooms: readonly GrowingStorage<Floats>[], source: number, length: number): Floats {
  const room = rooms[source];
  assert(room, 'a source is one of the group', { source });
  return room.take(length);
}
