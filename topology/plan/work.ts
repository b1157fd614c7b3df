import { hiddenInputs } from '@troupe/kernel-set';
import {
  blockOf,
  meanChoices,
  projectionWeights,
  qkvWidths,
  scoreWidth,
  seqLenOf,
  tokensBeside,
  type Mixer,
  type ModelConfig,
} from '@troupe/spec';
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

/** Of a token that sees so many others. */
function scoreWork(mixer: Mixer, seen: number): Work {
  const pairs = scoreWidth(mixer) * seen;
  return { forward: 2 * pairs, backward: 4 * pairs, weights: 0, again: 2 * pairs };
}

/** How one token of a decoder reads the memory; its keys and values are shared among the tokens that read them. */
function crossWork(config: ModelConfig, cross: Mixer): Work {
  const { q, k, v, out } = qkvWidths(cross);
  const weights = (q + out + (k + v) * tokensBeside(config, 0)) * config.dModel;
  return addWork(product(weights), scoreWork(cross, seqLenOf(config, 0)));
}

/**
 * Of one token of its stream in one block. Scores are those that kernels compute: of a causal one half the square, of a bidirectional one all of
 * it.
 */
function blockWork(config: ModelConfig, index: number): Work {
  const { mixer, cross, ffn } = blockOf(config, index);
  const d = config.dModel;
  const ffnWeights = (hidden: number): number => (hiddenInputs(ffn.activation) + 1) * hidden * d;
  const seqLen = seqLenOf(config, index);
  const scores = scoreWork(mixer, mixer.scope.kind === 'bidirectional' ? seqLen : (seqLen + 1) / 2);
  const shared =
    ffn.kind === 'dense' ? ffnWeights(ffn.hidden) : ffn.moe.experts * d + ffnWeights(ffn.sharedHidden);
  const own = addWork(product(projectionWeights(mixer, d) + shared), scores);
  const dense = cross === null ? own : addWork(own, crossWork(config, cross));
  if (ffn.kind === 'dense') return dense;
  return addWork(dense, { ...product(meanChoices(ffn.moe) * ffnWeights(ffn.hidden)), again: 0 });
}

/** Of one token of the decoder in a run of blocks, with its share of the encoder's. The halves of the head's backward pass are one: its logits are not kept. */
export function chunkWork(config: ModelConfig, { blocks, hasHead }: StagePlan): Work {
  const sum = blocks.reduce(
    (total, block) => addWork(total, timesWork(blockWork(config, block), tokensBeside(config, block))),
    nothing,
  );
  if (!hasHead) return sum;
  const head = 2 * config.vocab * config.dModel;
  return addWork(sum, { forward: head, backward: 2 * head, weights: 0, again: 0 });
}
