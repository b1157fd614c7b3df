import { ScalingBudgetError } from './errors.ts';
import type { JointLaw } from './law-set.ts';
import { jointLoss } from './loss.ts';
import { minimumBetween } from './search.ts';
import { activeParams, totalParams } from './shape.ts';

/** What a budget is spent on, and what it may not exceed. */
export interface JointConstraints {
  /** FLOPs of training, `6·N·D`, and of inference, `2·N·tokens`. */
  readonly flops: number;
  /** Parameters that memory has room for, without embedding and routers. Default: any number. */
  readonly paramsMost?: number;
  /** Tokens that the model will read and write in its life, paid from the same budget. Default: none. */
  readonly inferenceTokens?: number;
}

export interface JointOptimum {
  readonly experts: number;
  readonly paramsActive: number;
  /** Without embedding and routers, of FFNs with 8·d² of the 12·d² active parameters of a block. */
  readonly params: number;
  /** Of training. */
  readonly tokens: number;
  readonly flops: number;
  readonly loss: number;
}

/** Numbers of experts that are compared. */
export const expertCounts: readonly number[] = [1, 2, 4, 8, 16, 32];

const unit = { dModel: 1, blocks: 1 };
/** All parameters over the active ones: `(8E + 4)/12`. */
const totalOverActive = (experts: number): number => totalParams(unit, experts) / activeParams(unit);

/** Smallest model that is looked at. */
const PARAMS_LEAST = 1e3;

/**
 * The best size and number of tokens with so many experts.
 *
 * @throws {ScalingBudgetError} TROUPE_SCALING_BUDGET when not even a tiny model fits the constraints
 */
export function jointOptimum(
  law: JointLaw,
  { flops, paramsMost = Infinity, inferenceTokens = 0 }: JointConstraints,
  experts: number,
): JointOptimum {
  const over = totalOverActive(experts);
  const at = (logParams: number): JointOptimum => {
    const paramsActive = Math.exp(logParams);
    const tokens = (flops - 2 * paramsActive * inferenceTokens) / (6 * paramsActive);
    const loss = jointLoss(law, { paramsActive, tokens: Math.max(tokens, 1), experts });
    return { experts, paramsActive, params: paramsActive * over, tokens, flops, loss };
  };
  const affordable = flops / Math.max(2 * inferenceTokens, 6);
  const most = Math.min(paramsMost / over, affordable);
  if (!(most > PARAMS_LEAST))
    throw new ScalingBudgetError(
      `no model of ${experts} experts fits: at most ${most.toPrecision(3)} active parameters are left by ` +
        `${flops.toPrecision(3)} FLOPs${paramsMost === Infinity ? '' : `, ${paramsMost.toPrecision(3)} parameters of memory`}` +
        `${inferenceTokens === 0 ? '' : ` and ${inferenceTokens.toPrecision(3)} tokens of inference`}; allow more`,
    );
  return at(minimumBetween(Math.log(PARAMS_LEAST), Math.log(most), (logParams) => at(logParams).loss));
}

/** The best of all numbers of experts under the same constraints. */
export function bestJoint(
  law: JointLaw,
  constraints: JointConstraints,
  among: readonly number[] = expertCounts,
): JointOptimum {
  return among
    .map((experts) => jointOptimum(law, constraints, experts))
    .reduce((best, each) => (each.loss < best.loss ? each : best));
}
