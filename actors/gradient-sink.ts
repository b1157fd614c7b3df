import {
  FlatGradients,
  gradientRuns,
  leavesOf,
  tensorShare,
  type GradientKind,
  type GradientSlice,
  type UnitTargets,
} from '@troupe/model';
import type { ExactSum, Ints, KernelCall } from '@troupe/kernel-set';
import { gradientCalls, type Unit } from '@troupe/spec';
import { tensorRank, type ParameterGroup } from '@troupe/topology/layout';
import type { Job } from './job.ts';
import type { Worker } from './worker.ts';

/** Where those who compute put the gradients of a parameter group. */
export interface GradientSink {
  readonly kind: 'shared' | 'buckets';
  /** Targets of a microbatch of a step. */
  of(microbatch: number): UnitTargets;
}

/** Where a shard adds gradients up: all of the group's, or those of its own slice. */
export interface GradientSums {
  /** Set by kernels when any leaf was NaN or out of range. */
  readonly overflow: Ints;
  /** The arrays that hold elements [from, to), in order. */
  slices(from: number, to: number): readonly GradientSlice[];
  /** Elements [from, to), to which several devices add. */
  sum(from: number, to: number): ExactSum;
  /** What makes a step, or another attempt at it, start from nothing. */
  reset(): readonly KernelCall[];
}

/** An own expert may make any number of calls for a gradient, and only ever adds. */
export const hasOwnCalls = ({ expert }: Job, { reader }: ParameterGroup): boolean =>
  reader === 'experts' && expert !== undefined;

/**
 * How a unit's gradient accumulates: *stored* if one call makes it, *begun* if only this device adds, else *added*. A tied embedding has two
 * calls, a table of positions one a block, what segments share one each, an expert one a chunk of its rows. What a buffer adds up are integers, not floats.
 */
function gradientKind(job: Job, group: ParameterGroup): (unit: Unit) => GradientKind {
  if (hasOwnCalls(job, group) || group.holders.count > 1) return () => 'added';
  if (job.layout.gradientCallsOf(group) > 1) return () => 'begun';
  const { from, to } = job.layout.segmentsOf(tensorRank(0));
  const hasTwo = (unit: Unit): boolean =>
    unit.buffer !== null ||
    gradientCalls(job.model, unit) > 1 ||
    (unit.peerGradient === 'shares' && to - from > 1);
  return (unit) => (hasTwo(unit) ? 'begun' : 'stored');
}

/** How the gradients of a group come together at its shards, part by part: what comes in buckets is added, whoever else holds the group. */
export const sumsOf = (job: Job, group: ParameterGroup): readonly Omit<GradientSlice, 'values'>[] =>
  gradientRuns(group.flat, job.layout.hasCourier(group) ? () => 'added' : gradientKind(job, group));

/** One buffer in which the stage or the experts of a worker add, and in which the shard beside them adds what others send (GRD-1). */
export class SharedGradients implements GradientSink, GradientSums {
  readonly kind = 'shared';
  readonly #flat: FlatGradients;

  constructor({ job, device, peer }: Worker, group: ParameterGroup) {
    this.#flat = new FlatGradients(device, group.flat, {
      kindOf: gradientKind(job, group),
      leavesOf: leavesOf(job.model, job.layout.dealing.grains, tensorShare(job.layout.tensorAxis, peer)),
    });
  }

  get overflow(): Ints {
    return this.#flat.overflow;
  }

  of(microbatch: number): UnitTargets {
    return this.#flat.of(microbatch);
  }

  slices(from: number, to: number): readonly GradientSlice[] {
    return this.#flat.slices(from, to);
  }

  sum(from: number, to: number): ExactSum {
    return this.#flat.sum(from, to);
  }

  reset(): readonly KernelCall[] {
    return this.#flat.reset();
  }
}
