import { assert } from '@troupe/core';
import type { Ints, KernelCall } from '@troupe/kernel-set';
import { choiceWidth, expertsChoose, gateBiasId, meanChoices, type MoeConfig } from '@troupe/spec';
import type { DeviceBatch } from './batch.ts';
import { dropCalls, jitterCalls, keptChoices, routerInput, weighCalls, weighedChoices } from './capacity.ts';
import { choosesAlone, countThresholds, decideLocally, nominate, take, takeAlone } from './expert-choice.ts';
import { partialFfnForward, residualFfnForward, sharedFfn } from './ffn.ts';
import { routingDraws, samples } from './routing-draws.ts';
import { chunksOf, type RowChunk } from './row-chunk.ts';
import { gradientsOf, matrixGradientsOf, moeConfig, type StageContext } from './stage-context.ts';
import { isWhole } from './tensor-share.ts';

export interface GateOptions {
  /** Ranks of the expert-parallel group; must be what the activations were made for. */
  readonly ranks: number;
  /** Under expert choice: index of the microbatch's first sequence in that of all replicas; default 0. */
  readonly firstSequence?: number;
  /** Choices from elsewhere, [T, K], each token's distinct, -1 for a dropped one; default: top-k of the logits. */
  readonly choicesGiven?: Int32Array | null;
}

export interface GateBackwardOptions {
  /** Coefficients from {@link balanceCoefficients}. */
  readonly auxScale: number;
  readonly zScale: number;
  /** Share of choices of each expert in the global batch; absent: each sequence's own. */
  readonly fractions?: ArrayLike<number>;
}

/** normed[l] → logits_TE. A gate of one's own reads them and gives its choices to {@link gateRoute}. */
export function gateLogits(ctx: StageContext, layer: number): KernelCall[] {
  const { act } = ctx;
  const { jittered_TD } = act.moe(layer);
  return [
    ...jitterCalls(ctx, layer, act.layer(layer).normed_TD, jittered_TD),
    {
      op: 'linear.forward',
      rows: act.tokens,
      inDim: ctx.shape.config.dModel,
      outDim: moeConfig(ctx).experts,
      x: { data: routerInput(ctx, layer) },
      weight: ctx.weights.view(`L${layer}/gate`),
      out: { data: act.moe(layer).logits_TE },
    },
  ];
}

/** Padding is never routed, whether the router or a program's own gate chose. */
function withoutPadding(given_TK: Int32Array, valid_T: Uint8Array, topK: number): Int32Array {
  if (!valid_T.includes(0)) return given_TK;
  const choices_TK = given_TK.slice();
  valid_T.forEach((valid, token) => {
    if (valid === 0) choices_TK.fill(-1, token * topK, (token + 1) * topK);
  });
  return choices_TK;
}

/**
 * logits_TE → probabilities, choices, balance sums of them, which are kept, combine weights, a plan of rows for each chunk, combine weights in
 * row order.
 *
 * Choices given are copied when the list is built, so it must not be built while the previous list of the same
 * activations is still queued.
 */
export function gateRoute(
  ctx: StageContext,
  layer: number,
  batch: DeviceBatch,
  options: GateOptions,
): KernelCall[] {
  const { act } = ctx;
  const config = moeConfig(ctx);
  const topK = choiceWidth(config);
  const moe = act.moe(layer);
  const given = options.choicesGiven ?? null;
  assert(options.ranks === act.ranks, 'activations are made for the ranks that a gate sends to', {
    found: options.ranks,
    expected: act.ranks,
  });
  if (given !== null) {
    assert(given.length === act.tokens * topK, 'given choices are [T, K]', { found: given.length });
    const valid_T = act.device.read(batch.valid_T);
    act.device.write(moe.choices_TK, withoutPadding(given, valid_T, topK));
  }
  const { firstSequence = 0 } = options;
  const drawn = given === null && samples(ctx) ? sampleChoices(ctx, layer, batch) : [];
  const taken = () =>
    choosesAlone(ctx) ? takeAlone(ctx, layer, batch) : take(ctx, layer, batch, firstSequence);
  const chosen = expertsChoose(config)
    ? taken()
    : [...drawn, scores(ctx, layer, batch, given !== null || drawn.length > 0)];
  return [...chosen, ...routed(ctx, layer, batch)];
}

/** Choices and their weights → balance sums, which are kept and weigh what, a plan of rows for each chunk, combine weights in row order. */
function routed(ctx: StageContext, layer: number, batch: DeviceBatch): KernelCall[] {
  const { act } = ctx;
  const config = moeConfig(ctx);
  const moe = act.moe(layer);
  const statistics = ctx.statistics.of(layer);
  const chunks = chunksOf(ctx, layer);
  return [
    {
      op: 'balance.forward',
      tokens: act.tokens,
      experts: config.experts,
      topK: choiceWidth(config),
      logits_TE: moe.logits_TE,
      scores: config.router.scores,
      probs_TE: moe.probs_TE,
      choices_TK: moe.choices_TK,
      valid_T: batch.valid_T,
      groupStarts: act.groupStarts,
      fractions_BE: moe.fractions_BE,
      lossSums: statistics.lossSums,
      counts_E: statistics.counts_E,
      probSums_E: statistics.probSums_E,
    },
    ...dropCalls(ctx, layer, batch),
    ...weighCalls(ctx, layer),
    ...chunks.map((chunk) => planRows(chunk, config, keptChoices(ctx, layer))),
    ...chunks.map(rowWeights),
  ];
}

/** Choices of which one is drawn by its odds: the second of two, or the only one. */
function sampleChoices(ctx: StageContext, layer: number, batch: DeviceBatch): KernelCall[] {
  const { experts, topK, router } = moeConfig(ctx);
  const { logits_TE, choices_TK } = ctx.act.moe(layer);
  const draws = routingDraws(ctx, layer, router.sampling === 'first' ? 'rsample' : 'gumbel');
  const { tokens } = ctx.act;
  const { valid_T } = batch;
  return [{ op: 'gate.sample', tokens, experts, topK, logits_TE, valid_T, choices_TK, ...draws }];
}

/** Where the rows of a run of grains go, by rank. */
function planRows(chunk: RowChunk, config: MoeConfig, kept_TK: Ints): KernelCall {
  const { act, moe, shares, tokens, topK } = chunk;
  const { experts } = config;
  shares.forget();
  return {
    op: 'route.plan',
    tokens,
    experts,
    topK,
    ...(expertsChoose(config) ? { meanChoices: meanChoices(config) } : {}),
    ranks: act.ranks,
    rankOf_E: act.expertRanks(chunk.layer).rankOf_E,
    choices_TK: chunk.ofChoices(kept_TK),
    grainStarts: chunk.grainStarts,
    counts_EG: chunk.counts_EG,
    position_TK: chunk.ofChoices(moe.position_TK),
    slots_N: chunk.ofChoices(moe.slots_N),
    choiceOfRow_N: chunk.ofChoices(moe.choiceOfRow_N),
    rankTokens: chunk.rankTokens,
    numTokens_R: shares.numTokens_R,
    numRows_R: shares.numRows_R,
  };
}

/** logits_TE → probabilities, choices or those given, combine weights. */
function scores(ctx: StageContext, layer: number, batch: DeviceBatch, choicesGiven: boolean): KernelCall {
  const config = moeConfig(ctx);
  const { experts, renormalise, router, balance } = config;
  const topK = choiceWidth(config);
  const { logits_TE, probs_TE, choices_TK, weights_TK } = ctx.act.moe(layer);
  return {
    op: 'gate.forward',
    tokens: ctx.act.tokens,
    experts,
    topK,
    renormalise,
    scores: router.scores,
    scale: router.scale,
    expertGroups: router.groups,
    topGroups: router.topGroups,
    logits_TE,
    valid_T: batch.valid_T,
    choicesGiven,
    ...(balance.bias === 0 ? {} : { bias_E: ctx.weights.view(gateBiasId(layer)) }),
    probs_TE,
    choices_TK,
    weights_TK,
  };
}

/** The number of rows is not known here, so stale indices behind them are gathered too; those rows are never read. */
function rowWeights(chunk: RowChunk): KernelCall {
  const { weights_TK, choiceOfRow_N, rowWeights_N } = chunk.moe;
  return {
    op: 'gather.scalars',
    count: chunk.tokens * chunk.topK,
    values: chunk.ofChoices(weights_TK),
    index: chunk.ofChoices(choiceOfRow_N),
    out: chunk.ofChoices(rowWeights_N),
  };
}

/** What `gateForward` computed, from the choices and the plan that it left: nothing is chosen, planned or counted again (ACT-3). */
export function gateAgain(ctx: StageContext, layer: number, batch: DeviceBatch): KernelCall[] {
  return [
    ...gateLogits(ctx, layer),
    scores(ctx, layer, batch, true),
    ...weighCalls(ctx, layer),
    ...chunksOf(ctx, layer).map(rowWeights),
    ...sharedForward(ctx, layer),
  ];
}

/** What shared experts make of normed[l], where there are some. */
function sharedForward(ctx: StageContext, layer: number): KernelCall[] {
  const shared = sharedFfn(ctx, layer);
  if (shared === null) return [];
  return (isWhole(ctx.act.tensor) ? residualFfnForward : partialFfnForward)(ctx, layer, shared);
}

/**
 * normed[l] → routing of layer l; and what shared experts make of it, where there are some: hidden[l+1] = mid[l] + shared
 * experts(normed[l]), or the parts of their sum that this device has.
 *
 * After completion, `expertSource` says what each rank needs.
 */
export function gateForward(
  ctx: StageContext,
  layer: number,
  batch: DeviceBatch,
  options: GateOptions,
): KernelCall[] {
  const { firstSequence = 0 } = options;
  const compares = expertsChoose(moeConfig(ctx)) && !choosesAlone(ctx);
  const chosen = compares
    ? [...nominate(ctx, layer, batch, firstSequence), ...decideLocally(ctx, layer)]
    : [];
  return [...gateLogits(ctx, layer), ...chosen, ...gateRest(ctx, layer, batch, options)];
}

/** What follows once choices can be made: those of tokens, or of experts whose thresholds are known. */
export function gateRest(
  ctx: StageContext,
  layer: number,
  batch: DeviceBatch,
  options: GateOptions,
): KernelCall[] {
  return [...gateRoute(ctx, layer, batch, options), ...sharedForward(ctx, layer)];
}

/** What the bias of a router follows, where it has one: which experts were chosen too seldom. It takes the place of a gradient. */
function countForBias(ctx: StageContext, layer: number, { valid_T }: DeviceBatch): KernelCall[] {
  const { experts, topK, balance } = moeConfig(ctx);
  if (balance.bias === 0) return [];
  const { tokens } = ctx.act;
  const { choices_TK } = ctx.act.moe(layer);
  const sum = gradientsOf(ctx).view(gateBiasId(layer));
  assert('values' in sum, 'counts are added up as integers', { layer });
  return [{ op: 'bias.count', tokens, experts, topK, choices_TK, valid_T, sum }];
}

/** dWeights_TK and balance terms → dNormed[l], which is all of it but the experts' part, and the gate's weight sum. */
export function routerBackward(
  ctx: StageContext,
  layer: number,
  batch: DeviceBatch,
  balance: GateBackwardOptions,
): KernelCall[] {
  const { act, weights } = ctx;
  const config = moeConfig(ctx);
  const { experts, renormalise, router } = config;
  const topK = choiceWidth(config);
  const moe = act.moe(layer);
  const { dLogits_TE, dNormed_TD, dWeights_TK } = act.gradients;
  const dim = ctx.shape.config.dModel;
  const isGlobal = balance.fractions !== undefined;
  if (balance.fractions !== undefined) {
    assert(
      balance.fractions.length === moe.fractions_E.length,
      'global fractions are one per expert, for scope global',
      {
        found: balance.fractions.length,
      },
    );
    act.device.write(moe.fractions_E, balance.fractions);
  }
  const counted = countForBias(ctx, layer, batch);
  const gate = { rows: act.tokens, inDim: dim, outDim: experts, dOut: { data: dLogits_TE } };
  return [
    ...counted,
    {
      op: 'gate.backward',
      tokens: act.tokens,
      experts,
      topK,
      renormalise,
      scores: router.scores,
      scale: router.scale,
      logits_TE: moe.logits_TE,
      probs_TE: moe.probs_TE,
      choices_TK: weighedChoices(ctx, layer),
      weights_TK: moe.weights_TK,
      dWeights_TK,
      valid_T: batch.valid_T,
      groupStarts: act.groupStarts,
      fractions: isGlobal ? moe.fractions_E : moe.fractions_BE,
      fractionsGlobal: isGlobal,
      auxScale: balance.auxScale,
      zScale: balance.zScale,
      dLogits_TE,
    },
    {
      op: 'linear.backward.weight',
      ...gate,
      x: { data: routerInput(ctx, layer) },
      grainStarts: act.grainStarts,
      weightSum: matrixGradientsOf(ctx).view(`L${layer}/gate`),
    },
    {
      op: 'linear.backward.input',
      ...gate,
      weight: weights.view(`L${layer}/gate`),
      dx: { data: dNormed_TD },
    },
    ...jitterCalls(ctx, layer, dNormed_TD, dNormed_TD),
    ...countThresholds(ctx, layer),
  ];
}
