import { assert, type Address } from '@troupe/core';
import type { Device, ExactSum, Int64s, Ints } from '@troupe/kernel-set';
import { FlatGradients, leavesOf, type UnitTargets } from '@troupe/model';
import type { ElementRange } from '@troupe/spec';
import { BUCKET_ROOMS, roomsFor, type ParameterGroup, type Segment } from '@troupe/topology/layout';
import { hasOwnCalls, type GradientSink } from './gradient-sink.ts';
import { lengthOf } from './range.ts';
import type { Worker } from './worker.ts';

/** Which gradients: of one segment in one microbatch. */
export interface BucketId {
  readonly step: number;
  readonly segment: number;
  readonly microbatch: number;
}

/** Who has a bucket: the actor whose kernels fill it, until it is full; then its receivers. */
export interface Holding extends BucketId {
  readonly filledBy: Address;
  readonly isUnderWay: boolean;
}

/** Memory for the gradients of one segment of one microbatch. */
export interface Bucket {
  readonly values: Int64s;
  readonly overflow: Ints;
  /** Of the segments that were in it. */
  readonly targets: Map<number, UnitTargets>;
  id: BucketId | null;
  /** Whose kernels fill it, or have. */
  filledBy: Address | null;
  /** Its receivers' parts that are not added yet; 0: it is being filled, or free. */
  awaited: number;
}

/**
 * Gradients that leave after every microbatch, so that no device holds those of the whole group.
 *
 * GRD-3: a bucket is free, then filled by the kernels of one segment and microbatch alone, then its receivers' until each of them has
 * answered that its part is added; only then, or when the attempt is over, it is used again. There are {@link BUCKET_ROOMS} of every length
 * that occurs, all made at the start: they are the credit of those who compute, who wait for one that comes back.
 */
export class Buckets implements GradientSink {
  readonly kind = 'buckets';
  readonly #worker: Worker;
  readonly #group: ParameterGroup;
  readonly #buckets: readonly Bucket[];
  readonly #segmentOf: ReadonlyMap<string, Segment>;
  readonly #ofMicrobatch = new Map<number, UnitTargets>();

  constructor(worker: Worker, group: ParameterGroup) {
    this.#worker = worker;
    this.#group = group;
    this.#buckets = roomsFor(group.segments, BUCKET_ROOMS).map((length) => newBucket(worker.device, length));
    this.#segmentOf = new Map(
      group.segments.flatMap((segment) => segment.flat.units.map(({ id }) => [id, segment] as const)),
    );
  }

  of(microbatch: number): UnitTargets {
    let made = this.#ofMicrobatch.get(microbatch);
    if (made === undefined) {
      const first = this.#targets(microbatch, (targets) => targets);
      const more = this.#targets(microbatch, (targets) => targets.more);
      made = { ...first, more: { ...more, more } as UnitTargets };
      this.#ofMicrobatch.set(microbatch, made);
    }
    return made;
  }

  /**
   * Room for the gradients of a segment of a microbatch.
   *
   * @param filledBy - whose kernels fill it
   * @returns false: wait for one of those that somebody {@link holdings has}
   */
  open(id: BucketId, filledBy: Address): boolean {
    if (this.#filling(id.segment, id.microbatch) !== undefined) return true;
    const segment = this.#segment(id.segment);
    const bucket = this.#fitting(segment).find((each) => each.id === null);
    if (bucket === undefined) return false;
    bucket.id = id;
    bucket.filledBy = filledBy;
    this.#clear(bucket, segment);
    return true;
  }

  /** The bucket that the kernels of a microbatch have filled. */
  filled(id: BucketId): Bucket {
    const bucket = this.#filling(id.segment, id.microbatch);
    assert(bucket?.id?.step === id.step, 'a bucket leaves that was opened before it was filled (GRD-3)', {
      ...id,
    });
    return bucket;
  }

  /** Elements of the group that one bucket has while the kernels of a microbatch fill it. */
  sum({ from, to }: ElementRange, microbatch: number): ExactSum {
    const segment = this.#group.segments.find((each) => each.from <= from && to <= each.to);
    const bucket = segment && this.#filling(segment.index, microbatch);
    assert(segment && bucket, 'a bucket is filled while it is open (GRD-3)', { from, to, microbatch });
    const { values, overflow } = bucket;
    return { values: values.subarray(from - segment.from, to - segment.from), overflow };
  }

  /** One part of a bucket is added. @returns whether its memory is free */
  answered(id: BucketId): boolean {
    const bucket = this.#buckets.find(
      (each) =>
        each.id?.step === id.step &&
        each.id.segment === id.segment &&
        each.id.microbatch === id.microbatch &&
        each.awaited > 0,
    );
    assert(bucket, 'a part of a bucket is answered once (GRD-3)', { ...id });
    bucket.awaited--;
    if (bucket.awaited > 0) return false;
    bucket.id = null;
    return true;
  }

  /** Buckets that somebody has, of the size that a segment needs: those under way first, which come back soonest. */
  holdings(segment: number): readonly Holding[] {
    return this.#fitting(this.#segment(segment))
      .flatMap(({ id, filledBy, awaited }) =>
        id === null || filledBy === null ? [] : [{ ...id, filledBy, isUnderWay: awaited > 0 }],
      )
      .toSorted((a, b) => Number(b.isUnderWay) - Number(a.isUnderWay));
  }

  /** The attempt is over: who still has a part drops it, or resets the sum that it is in. */
  abandon(): void {
    for (const bucket of this.#buckets) {
      bucket.id = null;
      bucket.awaited = 0;
    }
  }

  #segment(index: number): Segment {
    const segment = this.#group.segments[index];
    assert(segment, 'a bucket is of a segment of its group', { index });
    return segment;
  }

  #fitting(segment: Segment): readonly Bucket[] {
    return this.#buckets.filter(({ values }) => values.length === lengthOf(segment));
  }

  #filling(segment: number, microbatch: number): Bucket | undefined {
    return this.#buckets.find(
      ({ id, awaited }) =>
        id !== null && awaited === 0 && id.segment === segment && id.microbatch === microbatch,
    );
  }

  /** Calls of an own expert only add, and so may the one call for a table whose other one is in another stage. */
  get #onlyAdds(): boolean {
    return hasOwnCalls(this.#worker.job, this.#group) || this.#group.name === 'embed';
  }

  /** Kernels write every element but padding, which lies elsewhere in another segment; where they only add, they begin with zeros. */
  #clear({ values, overflow }: Bucket, { flat }: Segment): void {
    const { device } = this.#worker;
    device.zero(overflow);
    if (this.#onlyAdds) {
      device.zero(values);
      return;
    }
    flat.units.forEach(({ size, paddedSize }, index) => {
      const start = flat.starts[index] ?? 0;
      if (size < paddedSize) device.zero(values.subarray(start + size, start + paddedSize));
    });
  }

  #targets(microbatch: number, pick: (targets: UnitTargets) => UnitTargets): Omit<UnitTargets, 'more'> {
    const of = (unitId: string): UnitTargets => {
      const segment = this.#segmentOf.get(unitId);
      const bucket = segment && this.#filling(segment.index, microbatch);
      assert(segment && bucket, 'a bucket is filled while it is open (GRD-3)', { unitId, microbatch });
      return pick(this.#targetsIn(bucket, segment));
    };
    return {
      view: (unitId) => of(unitId).view(unitId),
      part: (unitId, index) => of(unitId).part(unitId, index),
      span: (first, last) => of(first).span(first, last),
    };
  }

  #targetsIn(bucket: Bucket, segment: Segment): UnitTargets {
    let targets = bucket.targets.get(segment.index);
    if (targets === undefined) {
      const { job, device } = this.#worker;
      const { values, overflow } = bucket;
      const memory = {
        floats: (length: number) => device.floats(length),
        ints: () => overflow,
        int64s: (length: number) => values.subarray(0, length),
      };
      const kind = this.#onlyAdds ? 'added' : 'begun';
      targets = new FlatGradients(memory, segment.flat, {
        kindOf: () => kind,
        leavesOf: leavesOf(job.model, job.layout.dealing.grains),
      }).of(0);
      bucket.targets.set(segment.index, targets);
    }
    return targets;
  }
}

const newBucket = (device: Device, length: number): Bucket => ({
  values: device.int64s(length),
  overflow: device.ints(1),
  targets: new Map(),
  id: null,
  filledBy: null,
  awaited: 0,
});
