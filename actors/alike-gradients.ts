import { FlatGradients, leavesOf, tensorShare, type UnitTargets } from '@troupe/model';
import { isHollowFrame, type ExactSum, type KernelCall } from '@troupe/kernel-set';
import type { Unit } from '@troupe/spec';
import type { ParameterGroup } from '@troupe/topology/layout';
import { intersect, type Range } from './gradients.ts';
import type { SharedGradients } from './gradient-sink.ts';
import type { GroupBuffers } from './group-buffers.ts';
import type { Worker } from './worker.ts';

/** Every tensor peer computes the same gradient of it. */
const isAlike = ({ peerGradient }: Unit): boolean => peerGradient === 'whole';

/** Which microbatch's gradients, and whether the step has more of them. */
export interface Microbatch {
  readonly microbatch: number;
  readonly last: boolean;
}

/**
 * Gradients of what tensor peers hold alike (norms, routers). Every peer computes all of them, and peer 0 alone adds its leaves to what the
 * holders exchange: a sum over the step, or a bucket a microbatch.
 *
 * TEN-3: a gradient that peers compute alike counts once. TEN-4: the leaves of the others are equal, bit for bit; the trainer compares their
 * {@link digest} in every step.
 */
export class AlikeGradients {
  /** All leaves of the step. */
  readonly #own: FlatGradients;
  readonly #group: ParameterGroup;
  readonly #gradients: GroupBuffers['gradients'];
  readonly #counts: boolean;
  readonly #ranges: readonly Range[];
  readonly #device: Worker['device'];

  constructor({ job, device, peer }: Worker, { group, gradients }: GroupBuffers) {
    const { flat } = group;
    this.#device = device;
    this.#group = group;
    this.#gradients = gradients;
    this.#counts = peer === 0;
    this.#own = new FlatGradients(device, flat, {
      kindOf: () => 'begun',
      leavesOf: leavesOf(job.model, job.layout.dealing.grains, tensorShare(job.layout.tensorAxis, peer)),
      ...(gradients.kind === 'shared' ? { overflow: gradients.overflow } : {}),
    });
    this.#ranges = flat.units.flatMap((unit, index) => {
      const from = flat.starts[index] ?? 0;
      return isAlike(unit) ? [{ from, to: from + unit.paddedSize }] : [];
    });
  }

  /** Where leaves of a microbatch go: into a bucket itself where they count. */
  of(microbatch: number): readonly { readonly units: readonly Unit[]; readonly views: UnitTargets }[] {
    const { units } = this.#group;
    const gradients = this.#gradients.of(microbatch);
    const isInBucket = this.#counts && this.#gradients.kind === 'buckets';
    return [
      { units: units.filter(isAlike), views: isInBucket ? gradients : this.#own.of(microbatch) },
      { units: units.filter((unit) => !isAlike(unit)), views: gradients },
    ];
  }

  /** Makes complete what the holders exchange of a range of the group, once a microbatch has made its leaves. */
  count(range: Range, of: Microbatch): KernelCall[] {
    return this.#ranges.flatMap((own): KernelCall[] => {
      const both = intersect(range, own);
      if (both === null) return [];
      return this.#gradients.kind === 'buckets'
        ? this.#countInBucket(both, this.#gradients.sum(both, of.microbatch), of)
        : this.#countInSum(both, this.#gradients, of);
    });
  }

  #countInSum({ from, to }: Range, shared: SharedGradients, { last }: Microbatch): KernelCall[] {
    if (!this.#counts || !last) return [];
    // Both have one flag.
    const other = this.#own.sum(from, to).values;
    return [{ op: 'sum.add', sum: shared.sum(from, to), other, otherOverflow: 0 }];
  }

  #countInBucket({ from, to }: Range, bucket: ExactSum, { microbatch }: Microbatch): KernelCall[] {
    const own = this.#own.sum(from, to);
    // What does not count is nothing; the bucket's flag is of what does.
    if (!this.#counts)
      return [{ op: 'sum.reset', sum: { values: bucket.values, overflow: this.#own.overflow } }];
    return [
      ...(microbatch === 0 ? [{ op: 'sum.reset', sum: own } as const] : []),
      { op: 'sum.add', sum: own, other: bucket.values, otherOverflow: 0 },
    ];
  }

  /** Of all leaves of a step, which must be the same on every peer. Nothing may be queued. */
  digest(): number {
    let hash = 0x811c9dc5;
    for (const { from, to } of this.#ranges) {
      const values = this.#device.read(this.#own.sum(from, to).values);
      if (isHollowFrame(values)) continue;
      const words = new Int32Array(values.buffer, values.byteOffset, 2 * values.length);
      for (const word of words) hash = Math.imul(hash ^ word, 0x01000193);
    }
    return hash >>> 0;
  }
}
