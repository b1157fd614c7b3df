import type { KernelCall } from '@troupe/kernel-set';
import { isMoeLayer } from '@troupe/spec';
import { attentionBackward, attentionForward } from './attention.ts';
import type { BalanceCoefficients } from './balance.ts';
import type { DeviceBatch } from './batch.ts';
import { combineBackward, combineForward, gateBackward, moeBackward, moeForward } from './combine.ts';
import { packGradients, packTokens } from './dispatch.ts';
import { ffnBackward, ffnForward } from './ffn.ts';
import { forcedChoices } from './forced-choices.ts';
import { gateForward } from './gate.ts';
import { headBackward } from './head.ts';
import { layerAgain } from './layer-again.ts';
import { ranksOf, type LocalExperts } from './local-experts.ts';
import { chunksOf } from './row-chunk.ts';
import { matrixGradientsOf, type StageContext } from './stage-context.ts';
import { joined, type Step } from './step.ts';
import { embedStreams, unembedStreams, type StreamPass } from './stream-pass.ts';
import { streamAt, type Streams } from './streams.ts';

/** Runs steps to their end. */
type Run = (steps: readonly Step[]) => Promise<unknown>;

/** Choices that need no router: in a text by the position there, so that none depends on its place among others. */
function givenChoices({ shape: { config }, act: { tokens }, cache }: StageContext): Int32Array | null {
  if (config.moe === null || config.moe.choice === 'learned') return null;
  if (cache === undefined) return forcedChoices(config, tokens, 0);
  const { topK } = config.moe;
  const given_TK = new Int32Array(tokens * topK).fill(-1);
  for (const [sequence, { position }] of cache.texts.entries())
    given_TK.set(forcedChoices(config, config.seqLen, position) ?? [], sequence * config.seqLen * topK);
  return given_TK;
}

/** Embedding and all layers: the same lists, in the same order, that the actors submit. */
export async function forwardLayers(
  streams: Streams<StreamPass>,
  experts: LocalExperts,
  run: Run,
): Promise<void> {
  const { config } = streams.decoder.context.shape;
  await run(embedStreams(streams));
  for (let layer = 0; layer < config.layers; layer++) {
    await forwardLayer(streamAt(streams, config, layer), layer, experts, run);
  }
}

/** One layer of one stream. */
export async function forwardLayer(
  { context: ctx, batch }: StreamPass,
  layer: number,
  experts: LocalExperts,
  run: Run,
): Promise<void> {
  const { config } = ctx.shape;
  if (!isMoeLayer(config, layer)) {
    await run(joined([...attentionForward(ctx, layer, batch), ...ffnForward(ctx, layer)]));
    return;
  }
  const choicesGiven = givenChoices(ctx);
  const routing = gateForward(ctx, layer, batch, { ranks: ctx.act.ranks, choicesGiven });
  await run(joined([...attentionForward(ctx, layer, batch), { calls: routing }]));
  await run([
    { calls: packed(ctx, layer, packTokens) },
    { calls: experts.forward(ctx, layer) },
    { calls: combineForward(ctx, layer) },
    ...moeForward(ctx, layer),
  ]);
}

/** What all ranks need, chunk by chunk. */
const packed = (
  ctx: StageContext,
  layer: number,
  pack: typeof packTokens | typeof packGradients,
): readonly KernelCall[] =>
  chunksOf(ctx, layer).flatMap((chunk) => ranksOf(ctx).flatMap((rank) => pack(chunk, { rank })));

function expertLayerBackward(
  ctx: StageContext,
  layer: number,
  batch: DeviceBatch,
  pass: { readonly experts: LocalExperts; readonly balance: BalanceCoefficients },
): readonly Step[] {
  const { auxScale, zScale, fractions } = pass.balance;
  const global = fractions(layer);
  const balance = { auxScale, zScale, ...(global === null ? {} : { fractions: global }) };
  return [
    { calls: combineBackward(ctx, layer) },
    { calls: packed(ctx, layer, packGradients) },
    { calls: pass.experts.backward(ctx, layer, matrixGradientsOf(ctx)) },
    { calls: gateBackward(ctx, layer, batch, balance) },
    ...moeBackward(ctx, layer, batch, balance),
  ];
}

/** From the head's gradient to the embedding's sum. `balance` is null in a model without experts. */
export async function backwardLayers(
  streams: Streams<StreamPass>,
  pass: { readonly experts: LocalExperts; readonly balance: Streams<BalanceCoefficients> | null },
  run: Run,
): Promise<void> {
  const { experts, balance } = pass;
  const { context: last } = streams.decoder;
  const { config } = last.shape;
  await run([{ calls: headBackward(last) }]);
  for (let layer = config.layers - 1; layer >= 0; layer--) {
    const { context: ctx, batch } = streamAt(streams, config, layer);
    const isMoe = balance !== null && isMoeLayer(config, layer);
    if (ctx.act.recompute) await run(layerAgain(ctx, layer, batch));
    if (ctx.act.recompute && isMoe)
      await run([{ calls: packed(ctx, layer, packTokens) }, { calls: experts.forward(ctx, layer) }]);
    const ffn = isMoe
      ? expertLayerBackward(ctx, layer, batch, { experts, balance: streamAt(balance, config, layer) })
      : ffnBackward(ctx, layer);
    await run(joined([...ffn, ...attentionBackward(ctx, layer, batch)]));
  }
  await run(unembedStreams(streams));
}
