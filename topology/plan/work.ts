import { hiddenInputs } from '@troupe/kernel-set';
import { blockOf, meanChoices, projectionWeights, scoreWidth, type ModelConfig } from '@troupe/spec';
import type { StagePlan } from '../layout/stage-plan.ts';

/** Floating-point operations of one token, or of some of them, in the parts that a pipeline can tell apart. */
export interface Work {
  readonly forward: number;
  /** Gradients of inputs. */
  readonly backward: number;
  /** Gradients of weights. */
  readonly weights: number;
  /** What `train.recompute: layer` computes again in the backward pass: everything but the routed experts. */
  readonly again: number;
}

const nothing: Work = { forward: 0, backward: 0, weights: 0, again: 0 };

export const addWork = (a: Work, b: Work): Work => ({
  forward: a.forward + b.forward,
  backward: a.backward + b.backward,
  weights: a.weights + b.weights,
  again: a.again + b.again,
});

export const timesWork = ({ forward, backward, weights, again }: Work, factor: number): Work => ({
  forward: forward * factor,
  backward: backward * factor,
  weights: weights * factor,
  again: again * factor,
});

/** A product with so many weights: two operations each, once in each direction. */
const product = (weights: number): Work => ({
  forward: 2 * weights,
  backward: 2 * weights,
  weights: 2 * weights,
  again: 2 * weights,
});

/** Of one token in one block. Scores are those that a causal kernel computes: half the square. */
export function blockWork(config: ModelConfig, index: number): Work {
  const { mixer, ffn } = blockOf(config, index);
  const d = config.dModel;
  const ffnWeights = (hidden: number): number => (hiddenInputs(ffn.activation) + 1) * hidden * d;
  const seen = (config.seqLen + 1) / 2;
  const pairs = scoreWidth(mixer) * seen;
  const scores = { forward: 2 * pairs, backward: 4 * pairs, weights: 0, again: 0 };
  const shared =
    ffn.kind === 'dense' ? ffnWeights(ffn.hidden) : ffn.moe.experts * d + ffnWeights(ffn.sharedHidden);
  const dense = addWork(product(projectionWeights(mixer, d) + shared), {
    ...scores,
    again: scores.forward,
  });
  if (ffn.kind === 'dense') return dense;
  return addWork(dense, { ...product(meanChoices(ffn.moe) * ffnWeights(ffn.hidden)), again: 0 });
}

/** Of one token in a run of blocks. The halves of the head's backward pass are one: its logits are not kept. */
export function chunkWork(config: ModelConfig, { blocks, hasHead }: StagePlan): Work {
  const sum = blocks.reduce((total, block) => addWork(total, blockWork(config, block)), nothing);
  if (!hasHead) return sum;
  const head = 2 * config.vocab * config.dModel;
  return addWork(sum, { forward: head, backward: 2 * head, weights: 0, again: 0 });
}
