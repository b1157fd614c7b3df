import type { KernelCall, KernelOp } from '@troupe/kernel-set';
import { adafactor } from './adafactor.ts';
import { adamw } from './adamw.ts';
import { attentionBackward, attentionForward } from './attention.ts';
import { balanceForward } from './balance.ts';
import { choiceAbove, choiceCandidates, choiceTake, choiceThresholds } from './choice.ts';
import { biasCount, biasStep } from './bias.ts';
import { copy, embedBackward, embedForward, round } from './embed.ts';
import { sumAdd, sumRead, sumReset, sumSquares } from './exact-sum.ts';
import { expertsBackward, expertsBackwardInput, expertsBackwardWeight, expertsForward } from './experts.ts';
import { fill } from './fill.ts';
import { gateBackward, gateForward } from './gate.ts';
import { headLoss } from './head.ts';
import { headFinish, headJoin, headPartial } from './head-parts.ts';
import type { Kernel } from './kernel.ts';
import { linearBackwardInput, linearBackwardWeight, linearForward } from './linear.ts';
import { gateSample, jitter } from './noise.ts';
import { muon } from './muon.ts';
import { normBackward, normForward, normProducts, normSquares } from './norm.ts';
import { partialsAdd } from './partials.ts';
import { rope } from './rope.ts';
import { positionsAdd } from './positions.ts';
import { routePlan } from './route.ts';
import { combine, combineBackwardWeights, gather, gatherScalars } from './rows.ts';
import { routeSelect } from './select.ts';
import { gateWeigh } from './weigh.ts';
import { sgd } from './sgd.ts';
import { thresholdCount, thresholdStep } from './threshold.ts';

/** Every operation of the set; a missing one does not compile. */
export const kernels: { readonly [O in KernelOp]: Kernel<Extract<KernelCall, { readonly op: O }>> } = {
  fill,
  copy,
  'round.bf16': round,
  'partials.add': partialsAdd,
  'embed.forward': embedForward,
  'embed.backward': embedBackward,
  'norm.forward': normForward,
  'norm.backward': normBackward,
  'norm.squares': normSquares,
  'norm.products': normProducts,
  'linear.forward': linearForward,
  'linear.backward.input': linearBackwardInput,
  'linear.backward.weight': linearBackwardWeight,
  rope,
  'positions.add': positionsAdd,
  'attention.forward': attentionForward,
  'attention.backward': attentionBackward,
  'gate.forward': gateForward,
  jitter,
  'gate.sample': gateSample,
  'route.select': routeSelect,
  'gate.weigh': gateWeigh,
  'bias.count': biasCount,
  'bias.step': biasStep,
  'threshold.count': thresholdCount,
  'threshold.step': thresholdStep,
  'balance.forward': balanceForward,
  'gate.backward': gateBackward,
  'route.plan': routePlan,
  'choice.candidates': choiceCandidates,
  'choice.thresholds': choiceThresholds,
  'choice.take': choiceTake,
  'choice.above': choiceAbove,
  gather,
  'gather.scalars': gatherScalars,
  combine,
  'combine.backward.weights': combineBackwardWeights,
  'experts.forward': expertsForward,
  'experts.backward': expertsBackward,
  'experts.backward.input': expertsBackwardInput,
  'experts.backward.weight': expertsBackwardWeight,
  'head.loss': headLoss,
  'head.partial': headPartial,
  'head.join': headJoin,
  'head.finish': headFinish,
  'sum.add': sumAdd,
  'sum.reset': sumReset,
  'sum.read': sumRead,
  'sum.squares': sumSquares,
  adamw,
  sgd,
  adafactor,
  muon,
};
