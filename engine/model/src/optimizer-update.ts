import { assert } from '@troupe/core';
import type { Floats, Int64s, KernelCall } from '@troupe/kernel-set';
import { adafactorRates, biasCorrections, type BufferRule, type UpdatePart } from '@troupe/spec';

/** Numbers of AdamW, also for what Muon leaves to it; ranges and meanings as in {@link AdamWCall}. */
export interface AdamWSettings {
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
}

interface MomentumSettings {
  /** In [0, 1). */
  readonly momentum: number;
  /** Step by the momentum that the next gradient would find. */
  readonly nesterov: boolean;
}

interface AdafactorSettings {
  /** Steps are a share of the size of a tensor, and fall with the number of updates; the schedule is not read. */
  readonly relativeStep: boolean;
}

interface MuonSettings {
  /** How large a step is: `adamw`: as AdamW's would be, so that its learning rate fits; `spectral`: as the shape of the matrix asks for. */
  readonly stepScale: 'adamw' | 'spectral';
}

/** How a run updates its parameters, and the numbers of that. */
export type OptimizerSettings = {
  /** Decoupled, times the learning rate. */
  readonly weightDecay: number;
  /** Largest norm of all gradients together; 0 switches clipping off. */
  readonly clip: number;
} & (
  | ({ readonly kind: 'adamw' } & AdamWSettings)
  | ({ readonly kind: 'sgd' } & MomentumSettings)
  | ({ readonly kind: 'adafactor' } & AdafactorSettings)
  | ({ readonly kind: 'muon' } & AdamWSettings & MomentumSettings & MuonSettings)
);

/** What the trainer decides about a step, the same for all parameters. */
export interface UpdateRates {
  readonly gradScale: number;
  readonly learningRate: number;
  /** Updates that were applied, this one among them. */
  readonly clock: number;
}

/** Arrays of the elements of one part. */
export interface UpdatedArrays {
  readonly weights: Floats;
  /** May be `weights`. */
  readonly out: Floats;
  /** Values of an exact sum, or a stored gradient. */
  readonly gradient: Int64s | Floats;
  /** Its state, as `OptimizerState` has it. */
  readonly first: Floats;
  readonly second: Floats;
  /** Room for the update of a tensor that is not divided; what is in it is lost. */
  readonly work: Floats;
}

/** The call that changes a buffer once a step is applied. */
function bufferStep(
  rule: BufferRule,
  { weights, out, sum }: Pick<UpdatedArrays, 'weights' | 'out'> & { readonly sum: Int64s },
): KernelCall {
  return rule.kind === 'bias'
    ? { op: 'bias.step', bias: weights, out, sum, rate: rule.rate }
    : { op: 'threshold.step', thresholds: weights, out, sum, fresh: rule.fresh };
}

/** The calls that update consecutive elements: the same for whoever makes them, so that copies keep their bits. */
export function updateCalls(
  { update, buffer, whole }: Pick<UpdatePart, 'update' | 'buffer' | 'whole'>,
  { weights, out, gradient, first, second, work }: UpdatedArrays,
  settings: OptimizerSettings,
  { gradScale, learningRate, clock }: UpdateRates,
): readonly KernelCall[] {
  const { weightDecay } = settings;
  const common = { weights, out, gradient, gradScale, learningRate, weightDecay };
  switch (update) {
    case 'none':
      return [];
    case 'bias':
    case 'threshold':
      assert(buffer !== null, 'a buffer has a rule', { update });
      // Never stored as floats: see `GradientKind`.
      return [bufferStep(buffer, { weights, out, sum: gradient as Int64s })];
    case 'adamw': {
      assert('beta1' in settings, 'an optimizer has the numbers of what it does', { update });
      const { beta1, beta2, eps } = settings;
      const corrections = biasCorrections(beta1, beta2, clock);
      return [{ op: 'adamw', ...common, m: first, v: second, beta1, beta2, eps, ...corrections }];
    }
    case 'sgd': {
      assert(settings.kind === 'sgd', 'an optimizer has the numbers of what it does', { update });
      const { momentum, nesterov } = settings;
      return [{ op: 'sgd', ...common, v: first, momentum, nesterov }];
    }
    case 'adafactor': {
      assert(settings.kind === 'adafactor', 'an optimizer has the numbers of what it does', { update });
      const relative = settings.relativeStep;
      const [rows, columns] = whole?.length === 2 ? [whole[0] ?? 1, whole[1] ?? 1] : [1, weights.length];
      const kept = whole?.length === 2 ? { row: first, column: second } : { row: first };
      const { beta2, relativeStep } = adafactorRates(clock);
      const rates = { beta2, learningRate: relative ? relativeStep : learningRate };
      return [{ op: 'adafactor', ...common, ...rates, rows, columns, ...kept, relative, work }];
    }
    case 'muon':
      break;
  }
  assert(settings.kind === 'muon', 'an optimizer has the numbers of what it does', { update });
  const { momentum, nesterov, stepScale } = settings;
  const [rows = 1, columns = 1] = whole ?? [];
  const scale =
    stepScale === 'adamw' ? 0.2 * Math.sqrt(Math.max(rows, columns)) : Math.sqrt(Math.max(1, rows / columns));
  return [{ op: 'muon', ...common, rows, columns, m: first, momentum, nesterov, scale, work }];
}
