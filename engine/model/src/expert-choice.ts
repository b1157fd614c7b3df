import { assert } from '@troupe/core';
import type { ChoiceSource, Int64s, KernelCall } from '@troupe/kernel-set';
import { choiceWidth, expertTake, gateThresholdsId, hasThresholds } from '@troupe/spec';
import type { DeviceBatch } from './batch.ts';
import type { ChoiceBuffers } from './choice-buffers.ts';
import { gradientsOf, moeConfig, type StageContext } from './stage-context.ts';

/** Consecutive things, [from, to). */
export interface ChoiceSpan {
  readonly from: number;
  readonly to: number;
}

/**
 * Experts choose tokens: at each position, each expert takes the k most probable tokens of a group of sequences.
 *
 * `nominate` → candidates of every part; `decideLocally`, or `decide` where groups have sequences of other replicas too → thresholds; `take` →
 * choices, of which combine weights are the probabilities as they are. A choice is a constant: gradients flow through the probabilities alone.
 *
 * @see Zhou et al. 2022, arXiv:2202.09368; Krajewski et al. 2024, arXiv:2402.07871, §3.1 (groups by position, so that routing is causal)
 */
export function choiceOf(ctx: StageContext): ChoiceBuffers {
  const { choice } = ctx.act;
  assert(choice !== null, 'experts choose only where the router says so');
  return choice;
}

/** What every call over the parts of a microbatch says of them. */
const partsOf = (ctx: StageContext, layer: number, batch: DeviceBatch, firstSequence: number) => ({
  tokens: ctx.act.tokens,
  experts: moeConfig(ctx).experts,
  seqLen: ctx.shape.config.seqLen,
  partSequences: choiceOf(ctx).partSequences,
  groupSequences: moeConfig(ctx).router.groupSequences,
  firstSequence,
  probs_TE: ctx.act.moe(layer).probs_TE,
  valid_T: batch.valid_T,
});

/** logits_TE → probabilities. */
function probabilities(ctx: StageContext, layer: number, batch: DeviceBatch): KernelCall {
  const { act } = ctx;
  const { logits_TE, probs_TE, choices_TK, weights_TK } = act.moe(layer);
  return {
    op: 'gate.forward',
    tokens: act.tokens,
    experts: moeConfig(ctx).experts,
    // The probabilities are wanted: the places of choices and weights are filled by `take`.
    topK: 1,
    renormalise: false,
    logits_TE,
    valid_T: batch.valid_T,
    choicesGiven: false,
    probs_TE,
    choices_TK: choices_TK.subarray(0, act.tokens),
    weights_TK: weights_TK.subarray(0, act.tokens),
  };
}

/**
 * logits_TE → probabilities, and the candidates of every part. Sums behind thresholds begin anew.
 *
 * @param firstSequence - index of the microbatch's first sequence in that of all replicas
 */
export function nominate(
  ctx: StageContext,
  layer: number,
  batch: DeviceBatch,
  firstSequence: number,
): KernelCall[] {
  const { act } = ctx;
  const { take, keys, numValid } = choiceOf(ctx);
  const { thresholdSums } = act.moe(layer);
  if (thresholdSums !== null) act.device.zero(thresholdSums);
  return [
    probabilities(ctx, layer, batch),
    { op: 'choice.candidates', ...partsOf(ctx, layer, batch, firstSequence), take, keys, numValid },
  ];
}

/** Candidates of one part at some positions. */
export function candidatesOf(ctx: StageContext, part: number, { from, to }: ChoiceSpan): ChoiceSource {
  const { keys, numValid, take } = choiceOf(ctx);
  const { seqLen } = ctx.shape.config;
  const [first, end] = [part * seqLen + from, part * seqLen + to];
  const each = moeConfig(ctx).experts * take;
  return { keys: keys.subarray(first * each, end * each), numValid: numValid.subarray(first, end) };
}

/** Where the thresholds of one part at some positions belong. */
export function thresholdsOf(ctx: StageContext, part: number, { from, to }: ChoiceSpan): Int64s {
  const { experts } = moeConfig(ctx);
  const first = part * ctx.shape.config.seqLen;
  return choiceOf(ctx).thresholds.subarray((first + from) * experts, (first + to) * experts);
}

/** Candidates of all parts of a group at some positions → their thresholds; in training also what they add to the sums behind learned ones. */
export function decide(
  ctx: StageContext,
  layer: number,
  positions: number,
  sources: readonly ChoiceSource[],
  thresholds: Int64s,
): KernelCall {
  const moe = moeConfig(ctx);
  const sums = ctx.act.moe(layer).thresholdSums;
  return {
    op: 'choice.thresholds',
    positions,
    experts: moe.experts,
    take: choiceOf(ctx).take,
    sources,
    groupSequences: moe.router.groupSequences,
    chosen: expertTake(moe),
    thresholds,
    ...(sums === null
      ? {}
      : { probSums_E: sums.subarray(0, moe.experts), numGroups: sums.subarray(moe.experts) }),
  };
}

/** The same of groups that are parts: all of them at once. */
export function decideLocally(ctx: StageContext, layer: number): KernelCall[] {
  const { partSequences, parts, keys, numValid, thresholds } = choiceOf(ctx);
  const { groupSequences } = moeConfig(ctx).router;
  assert(partSequences === groupSequences, 'a group that is chosen from here has all its sequences here', {
    partSequences,
    groupSequences,
  });
  return [decide(ctx, layer, parts * ctx.shape.config.seqLen, [{ keys, numValid }], thresholds)];
}

/** Thresholds of all parts → choices and combine weights. */
export function take(
  ctx: StageContext,
  layer: number,
  batch: DeviceBatch,
  firstSequence: number,
): KernelCall[] {
  return [
    {
      op: 'choice.take',
      ...partsOf(ctx, layer, batch, firstSequence),
      thresholds: choiceOf(ctx).thresholds,
      choices_TE: ctx.act.moe(layer).choices_TK,
    },
    weigh(ctx, layer),
  ];
}

/** Choices → combine weights. */
function weigh(ctx: StageContext, layer: number): KernelCall {
  const { probs_TE, choices_TK, weights_TK } = ctx.act.moe(layer);
  const moe = moeConfig(ctx);
  return {
    op: 'gate.weigh',
    tokens: ctx.act.tokens,
    experts: moe.experts,
    topK: choiceWidth(moe),
    renormalise: false,
    probs_TE,
    choices_TK,
    weights_TK,
  };
}

/** Whether experts choose by the thresholds that training has learned: in generation, where a text has no group. */
export const choosesAlone = (ctx: StageContext): boolean =>
  ctx.routing === undefined && hasThresholds(moeConfig(ctx));

/** logits_TE → probabilities, choices and combine weights, by learned thresholds. */
export function takeAlone(ctx: StageContext, layer: number, batch: DeviceBatch): KernelCall[] {
  const { device, tokens } = ctx.act;
  const { experts } = moeConfig(ctx);
  const { learned } = choiceOf(ctx);
  assert(learned !== null, 'a model with thresholds has room for them', { layer });
  const { thresholds_E, places_E } = learned;
  // Beside each threshold lies the number of its steps.
  device.write(
    places_E,
    Int32Array.from({ length: experts }, (_, expert) => 2 * expert),
  );
  const { probs_TE, choices_TK } = ctx.act.moe(layer);
  const values = ctx.weights.view(gateThresholdsId(layer));
  return [
    probabilities(ctx, layer, batch),
    { op: 'gather.scalars', count: experts, values, index: places_E, out: thresholds_E },
    {
      op: 'choice.above',
      tokens,
      experts,
      probs_TE,
      valid_T: batch.valid_T,
      thresholds_E,
      choices_TE: choices_TK,
    },
    weigh(ctx, layer),
  ];
}

/** What learned thresholds follow, where a model has them: sums of the forward pass, which take the place of a gradient. */
export function countThresholds(ctx: StageContext, layer: number): KernelCall[] {
  const { thresholdSums: sums } = ctx.act.moe(layer);
  if (sums === null) return [];
  const { experts } = moeConfig(ctx);
  const sum = gradientsOf(ctx).view(gateThresholdsId(layer));
  assert('values' in sum, 'thresholds are added up as integers', { layer });
  const [probSums_E, numGroups] = [sums.subarray(0, experts), sums.subarray(experts)];
  return [{ op: 'threshold.count', experts, probSums_E, numGroups, sum }];
}
