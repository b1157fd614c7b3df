import type { Device } from '@troupe/kernel-set';
import { FlatWeights } from '@troupe/model';
import type { FlatLayout } from '@troupe/spec';

/** Where those who compute read the weights of a parameter group. */
export interface WeightSource {
  readonly flat: FlatLayout;
  /** Weights of a version that has been published here. */
  at(version: number): FlatWeights;
}

/**
 * All weights of a group in the memory of one device.
 *
 * REP-1: version v lies in buffer v mod 2 and is not written between its commit and the commit of v + 2, so whoever reads
 * weights of an abandoned attempt still finds them. A worker that is alone has one buffer: nobody else can be at another version,
 * and its own attempts end before a commit.
 */
export class ResidentWeights implements WeightSource {
  readonly flat: FlatLayout;
  readonly #buffers: readonly [FlatWeights, FlatWeights];

  constructor(device: Device, flat: FlatLayout, { isAlone }: { readonly isAlone: boolean }) {
    this.flat = flat;
    const open = (): FlatWeights => new FlatWeights(flat, device.floats(flat.length));
    const first = open();
    this.#buffers = [first, isAlone ? first : open()];
  }

  at(version: number): FlatWeights {
    return this.#buffers[(version % 2) as 0 | 1];
  }
}
