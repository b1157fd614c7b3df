/** Calls of the thresholds by which experts choose in generation, where a text has no group to be compared with. */
import type { Floats, Int64s } from './device-array.ts';
import type { AddedGradient } from './gradient-target.ts';

/**
 * What the groups of a microbatch add to the sums of a step, in integers: sum_2e += probSums_e, sum_2e+1 += numGroups.
 *
 * A sum and its count lie side by side, so that whoever holds a part of the elements has both. The flag of the sum stays as it is.
 */
export interface ThresholdCountCall {
  readonly op: 'threshold.count';
  readonly experts: number;
  /** As `choice.thresholds` added them. */
  readonly probSums_E: Int64s;
  /** [1]. */
  readonly numGroups: Int64s;
  /** 2E elements. */
  readonly sum: AddedGradient;
}

/**
 * A moving average of the k-th probability of each expert: mean = sum_2e / (2^36·sum_2e+1) in f64, and out_2e = f32(mean) at the first step, then
 * f32((1 - fresh)·thresholds_2e + fresh·mean), each operation rounded to f64 before; out_2e+1 = f32(thresholds_2e+1 + 1), the steps that it holds.
 * Without a group (sum_2e+1 = 0) both stay.
 */
export interface ThresholdStepCall {
  readonly op: 'threshold.step';
  /** Pairs of a threshold and the number of steps that it holds; an even number of elements. */
  readonly thresholds: Floats;
  /** May be `thresholds`. */
  readonly out: Floats;
  /** Of {@link ThresholdCountCall}, over the whole step. */
  readonly sum: Int64s;
  /** Share of the new mean, in (0, 1]. */
  readonly fresh: number;
}

export type ThresholdCall = ThresholdCountCall | ThresholdStepCall;
