import type { KernelCall, KernelOp } from '@troupe/kernel-set';
import { adamw } from './adamw.ts';
import { attentionBackward, attentionForward } from './attention.ts';
import { balanceForward } from './balance.ts';
import { copy, embedBackward, embedForward } from './embed.ts';
import { sumAdd, sumRead, sumReset, sumSquares } from './exact-sum.ts';
import { expertsBackward, expertsForward } from './experts.ts';
import { fill } from './fill.ts';
import { gateBackward, gateForward } from './gate.ts';
import { headLoss } from './head.ts';
import type { Kernel } from './kernel.ts';
import { linearBackwardInput, linearBackwardWeight, linearForward } from './linear.ts';
import { normBackward, normForward } from './norm.ts';
import { rope } from './rope.ts';
import { routePlan } from './route.ts';
import { combine, combineBackwardWeights, gather, gatherScalars } from './rows.ts';

/** Every operation of the set; a missing one does not compile. */
export const kernels: { readonly [O in KernelOp]: Kernel<Extract<KernelCall, { readonly op: O }>> } = {
  fill,
  copy,
  'embed.forward': embedForward,
  'embed.backward': embedBackward,
  'norm.forward': normForward,
  'norm.backward': normBackward,
  'linear.forward': linearForward,
  'linear.backward.input': linearBackwardInput,
  'linear.backward.weight': linearBackwardWeight,
  rope,
  'attention.forward': attentionForward,
  'attention.backward': attentionBackward,
  'gate.forward': gateForward,
  'balance.forward': balanceForward,
  'gate.backward': gateBackward,
  'route.plan': routePlan,
  gather,
  'gather.scalars': gatherScalars,
  combine,
  'combine.backward.weights': combineBackwardWeights,
  'experts.forward': expertsForward,
  'experts.backward': expertsBackward,
  'head.loss': headLoss,
  'sum.add': sumAdd,
  'sum.reset': sumReset,
  'sum.read': sumRead,
  'sum.squares': sumSquares,
  adamw,
};
