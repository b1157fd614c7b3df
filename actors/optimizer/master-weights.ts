import { assert } from '@troupe/core';
import type { Device, Floats, Halves, KernelCall } from '@troupe/kernel-set';
import type { WeightSlice } from '@troupe/model';
import { assertWithin, type Range } from '../gradients.ts';

/** Elements [from, to) of weights in f32, which lie in one array. */
export interface MasterSlice extends Range {
  readonly values: Floats;
}

/** The arrays in which weights of a version lie where they are read. */
export type PublishedWeights = (range: Range, version: number) => readonly WeightSlice[];

/** Where a matrix is held rounded: the f32 numbers that are updated become the bf16 that products read. */
const rounded = (from: Floats, out: Halves): KernelCall => ({ op: 'round.bf16', x: from, out });

/**
 * The f32 weights of the slice that a shard owns, and what becomes of them where they are read.
 *
 * MAS-1: what is read in f32 is its own master: an update writes the next version where that is read. What is read in bf16 has its master
 * here, of one version, which is updated in place and rounded after every change.
 */
export class MasterWeights {
  readonly owns: Range;
  readonly published: PublishedWeights;
  /** Of what is read in bf16. */
  readonly #masters: readonly MasterSlice[];

  constructor(device: Device, owns: Range, published: PublishedWeights) {
    this.owns = owns;
    this.published = published;
    this.#masters = published(owns, 0)
      .filter(({ kind }) => kind === 'bf16')
      .map(({ from, to }) => ({ from, to, values: device.floats(to - from) }));
  }

  /** Whether readers hold some of it in bf16. */
  get isRounded(): boolean {
    return this.#masters.length > 0;
  }

  /** The f32 weights of a part of what the shard owns, in the arrays that they lie in; where these begin and end no version changes. */
  slices(range: Range, version: number): readonly MasterSlice[] {
    assertWithin(range, this.owns, 'a shard has the master weights of what it owns');
    return this.published(range, version).map((each) => (each.kind === 'f32' ? each : this.#master(each)));
  }

  /** What brings changed masters of a range to those who read them rounded. */
  round(range: Range, version: number): readonly KernelCall[] {
    return this.published(range, version).flatMap((each) =>
      each.kind === 'f32' ? [] : [rounded(this.#master(each).values, each.values)],
    );
  }

  #master({ from, to }: Range): MasterSlice {
    const found = this.#masters.find((each) => each.from <= from && to <= each.to);
    assert(found, 'what is read in bf16 has a master', { from, to });
    return { from, to, values: found.values.subarray(from - found.from, to - found.from) };
  }
}
