/** Calls of loss-free balancing: a bias of each expert that follows its load. */
import type { Bytes, Floats, Int64s, Ints } from './device-array.ts';
import type { AddedGradient } from './gradient-target.ts';

/**
 * How much less often than the mean each expert was chosen: sum_e += K·(valid tokens) - E·(choices of e), in integers.
 *
 * Over all calls of a step that is E times the mean load less the load of e, whoever counted which tokens. The flag of the sum stays as it is.
 */
export interface BiasCountCall {
  readonly op: 'bias.count';
  readonly tokens: number;
  readonly experts: number;
  readonly topK: number;
  /** Before any was dropped; -1: none. */
  readonly choices_TK: Ints;
  readonly valid_T?: Bytes;
  /** E elements. */
  readonly sum: AddedGradient;
}

/**
 * out_e = bias_e + rate·sign(sum_e), rate and result rounded to f32; sign(0) = 0.
 *
 * @see Wang et al. 2024, arXiv:2408.15664, algorithm 1; DeepSeek-AI 2024, arXiv:2412.19437, §2.1.2
 */
export interface BiasStepCall {
  readonly op: 'bias.step';
  readonly bias: Floats;
  /** May be `bias`. */
  readonly out: Floats;
  /** Of {@link BiasCountCall}, over the whole step. */
  readonly sum: Int64s;
  readonly rate: number;
}

export type BiasCall = BiasCountCall | BiasStepCall;
