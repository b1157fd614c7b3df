import { assert } from '@troupe/core';
import { FlatGradients, leavesOf, tensorShare, type UnitTargets } from '@troupe/model';
import type { KernelCall } from '@troupe/kernel-set';
import type { Unit } from '@troupe/spec';
import type { ParameterGroup } from '@troupe/topology/layout';
import { intersect, type Range } from './gradients.ts';
import type { SharedGradients } from './gradient-sink.ts';
import type { GroupBuffers } from './group-buffers.ts';
import type { Worker } from './worker.ts';

/** Every tensor peer computes the same gradient of it. */
const isAlike = ({ peerGradient }: Unit): boolean => peerGradient === 'whole';

/**
 * Gradients of what tensor peers hold alike (norms, routers): every peer computes all of them, in a buffer of its own, and peer 0 alone adds
 * its leaves to the sum that the holders exchange.
 *
 * TEN-3: a gradient that peers compute alike counts once. TEN-4: the leaves of the others are equal, bit for bit; the trainer compares their
 * {@link digest} in every step.
 */
export class AlikeGradients {
  readonly #own: FlatGradients;
  readonly #group: ParameterGroup;
  readonly #shared: SharedGradients;
  readonly #counts: boolean;
  readonly #ranges: readonly Range[];
  readonly #device: Worker['device'];

  constructor({ job, device, peer }: Worker, buffers: GroupBuffers) {
    const { flat } = buffers.group;
    this.#device = device;
    assert(buffers.gradients.kind === 'shared', 'what peers hold alike is added up in place');
    this.#group = buffers.group;
    this.#shared = buffers.gradients;
    this.#counts = peer === 0;
    this.#own = new FlatGradients(device, flat, {
      kindOf: () => 'begun',
      leavesOf: leavesOf(job.model, job.layout.dealing.grains, tensorShare(job.layout.tensorAxis, peer)),
      overflow: buffers.gradients.overflow,
    });
    this.#ranges = flat.units.flatMap((unit, index) => {
      const from = flat.starts[index] ?? 0;
      return isAlike(unit) ? [{ from, to: from + unit.paddedSize }] : [];
    });
  }

  /** Where leaves of a microbatch go. */
  of(microbatch: number): readonly { readonly units: readonly Unit[]; readonly views: UnitTargets }[] {
    const { units } = this.#group;
    return [
      { units: units.filter(isAlike), views: this.#own.of(microbatch) },
      { units: units.filter((unit) => !isAlike(unit)), views: this.#shared.of(microbatch) },
    ];
  }

  /** Adds what is complete in a range of the group to the sum that its holders exchange, once in a step. */
  count(range: Range): KernelCall[] {
    if (!this.#counts) return [];
    return this.#ranges.flatMap((own): KernelCall[] => {
      const both = intersect(range, own);
      if (both === null) return [];
      const sum = this.#shared.sum(both.from, both.to);
      // Both have one flag.
      return [{ op: 'sum.add', sum, other: this.#own.sum(both.from, both.to).values, otherOverflow: 0 }];
    });
  }

  /** Of all leaves of a step, which must be the same on every peer. Nothing may be queued. */
  digest(): number {
    let hash = 0x811c9dc5;
    for (const { from, to } of this.#ranges) {
      const values = this.#device.read(this.#own.sum(from, to).values);
      const words = new Int32Array(values.buffer, values.byteOffset, 2 * values.length);
      for (const word of words) hash = Math.imul(hash ^ word, 0x01000193);
    }
    return hash >>> 0;
  }
}
