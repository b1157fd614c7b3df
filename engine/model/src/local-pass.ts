import type { KernelCall } from '@troupe/kernel-set';
import { isMoeLayer } from '@troupe/spec';
import { attentionBackward, attentionForward } from './attention.ts';
import type { BalanceCoefficients } from './balance.ts';
import type { DeviceBatch } from './batch.ts';
import { packGradients, packTokens, returnedGradients, returnedRows } from './dispatch.ts';
import { embedBackward, embedForward } from './embedding.ts';
import { ffnBackward, ffnForward } from './ffn.ts';
import { forcedChoices } from './forced-choices.ts';
import { combineBackward, combineForward, gateBackward, gateForward } from './gate.ts';
import { headBackward } from './head.ts';
import { ranksOf, type LocalExperts } from './local-experts.ts';
import { gradientsOf, type StageContext } from './stage-context.ts';

/** Runs a list to its end. */
type Run = (calls: readonly KernelCall[]) => Promise<unknown>;

/** Embedding and all layers: the same lists, in the same order, that the actors submit. */
export async function forwardLayers(
  ctx: StageContext,
  batch: DeviceBatch,
  experts: LocalExperts,
  run: Run,
): Promise<void> {
  const { config } = ctx.shape;
  const { tokens, ranks, numLayers } = ctx.act;
  const choicesGiven = config.moe === null ? null : forcedChoices(config, tokens, 0);
  await run(embedForward(ctx, batch));
  for (let layer = 0; layer < numLayers; layer++) {
    if (!isMoeLayer(config, layer)) {
      await run([...attentionForward(ctx, layer, batch), ...ffnForward(ctx, layer)]);
      continue;
    }
    await run([
      ...attentionForward(ctx, layer, batch),
      ...gateForward(ctx, layer, batch, { ranks, choicesGiven }),
    ]);
    await run([
      ...ranksOf(ctx).flatMap((rank) => packTokens(ctx, layer, { rank })),
      ...experts.forward(ctx, layer),
      ...combineForward(
        ctx,
        layer,
        ranksOf(ctx).map((rank) => returnedRows(ctx, layer, rank)),
      ),
    ]);
  }
}

function moeBackward(
  ctx: StageContext,
  layer: number,
  batch: DeviceBatch,
  pass: { readonly experts: LocalExperts; readonly balance: BalanceCoefficients },
): KernelCall[] {
  const { auxScale, zScale, fractions } = pass.balance;
  const global = fractions(layer);
  const ranks = ranksOf(ctx);
  const outputs = ranks.map((rank) => returnedRows(ctx, layer, rank));
  const gradients = ranks.map((rank) => returnedGradients(ctx, layer, rank));
  return [
    ...combineBackward(ctx, layer, outputs),
    ...ranks.flatMap((rank) => packGradients(ctx, layer, { rank })),
    ...pass.experts.backward(ctx, layer, gradientsOf(ctx)),
    ...gateBackward(ctx, layer, batch, gradients, {
      auxScale,
      zScale,
      ...(global === null ? {} : { fractions: global }),
    }),
  ];
}

/** From the head's gradient to the embedding's sum. `balance` is null in a model without experts. */
export async function backwardLayers(
  ctx: StageContext,
  batch: DeviceBatch,
  pass: { readonly experts: LocalExperts; readonly balance: BalanceCoefficients | null },
  run: Run,
): Promise<void> {
  const { experts, balance } = pass;
  await run(headBackward(ctx));
  for (let layer = ctx.act.numLayers - 1; layer >= 0; layer--) {
    const isMoe = balance !== null && isMoeLayer(ctx.shape.config, layer);
    const ffn = isMoe ? moeBackward(ctx, layer, batch, { experts, balance }) : ffnBackward(ctx, layer);
    await run([...ffn, ...attentionBackward(ctx, layer, batch)]);
  }
  await run(embedBackward(ctx, batch));
}
