import { OptionError, shownValue } from '@troupe/core';
import type { QuestionEvent } from './events.ts';

/** Rows for the experts of a group. */
export interface Question {
  /** Rows, one behind the other. */
  readonly x_ND: Float32Array;
  /** Which expert of the group each row is for, from 0. */
  readonly experts_N: Int32Array;
}

/** Width of a row, and experts of the group. */
export interface QuestionSizes {
  readonly dim: number;
  readonly experts: number;
}

/** The question that a message holds, or what is wrong with it: its arrays are not rows of `dim` and an expert for each. */
export function questionOf(
  { x_ND, experts_N }: QuestionEvent['tensors'],
  { dim, experts }: QuestionSizes,
): Question | OptionError {
  const wrong = (problem: string): OptionError => new OptionError('experts.ask', [problem]);
  if (!(experts_N instanceof Int32Array))
    return wrong(`experts_N is ${shownValue(experts_N)}, expected an Int32Array, one expert a row`);
  if (!(x_ND instanceof Float32Array) || x_ND.length !== experts_N.length * dim)
    return wrong(
      `x_ND is ${shownValue(x_ND)}, expected a Float32Array of ${experts_N.length * dim} (${experts_N.length} rows of ${dim})`,
    );
  const at = experts_N.findIndex((expert) => expert < 0 || expert >= experts);
  if (at >= 0) return wrong(`experts_N[${at}] is ${experts_N[at]}, expected 0 to ${experts - 1}`);
  return { x_ND, experts_N };
}

/** Rows in the order of their experts, as an expert actor takes them. */
export interface Dispatch {
  /** Row of the question that each dispatched row is. */
  readonly slots_N: Int32Array;
  /** Rows of every expert. */
  readonly counts_E: Int32Array;
}

export function dispatchOf(experts_N: Int32Array, experts: number): Dispatch {
  const counts_E = new Int32Array(experts);
  for (const expert of experts_N) counts_E[expert] = (counts_E[expert] ?? 0) + 1;
  const next_E = new Int32Array(experts);
  for (let expert = 1; expert < experts; expert++)
    next_E[expert] = (next_E[expert - 1] ?? 0) + (counts_E[expert - 1] ?? 0);
  const slots_N = new Int32Array(experts_N.length);
  experts_N.forEach((expert, row) => {
    const place = next_E[expert] ?? 0;
    slots_N[place] = row;
    next_E[expert] = place + 1;
  });
  return { slots_N, counts_E };
}
