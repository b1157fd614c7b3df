import type { DoneEvent } from '@troupe/telemetry';
import type { ResolvedTopology } from '@troupe/topology';
import { lossChart } from './loss-chart.ts';
import { bytes, count, duration, nats, natsAToken, percent } from './numbers.ts';
import type { Tally } from './tally.ts';

/** What people read of the held-out loss: its number, or why there is none. */
function heldOut({ evalLoss, unigramEntropy, bigramCrossEntropy }: DoneEvent): string {
  if (evalLoss !== null)
    return `${nats(evalLoss)}; of all held-out tokens: unigram entropy ${nats(unigramEntropy)}, bigram cross entropy ${nats(bigramCrossEntropy)}`;
  // Null for no held-out token, once a run has come to its end.
  return bigramCrossEntropy === null
    ? 'none: nothing is held out (data.holdout)'
    : 'not measured in these steps (eval.every)';
}

/** What to look at a trained model with: one with an encoder writes only of a text that it reads there. */
export const look = (folder: string, { model }: Pick<ResolvedTopology, 'model'>): string =>
  `npx troupe ${model.encoder === null ? 'generate' : 'eval'} ${folder}`;

/** What a run that ended leaves on the screen: curve, speed, what the loss means, what to type next. */
export function summary(
  folder: string,
  tally: Tally,
  done: DoneEvent,
  topology: Pick<ResolvedTopology, 'model' | 'train'>,
): readonly string[] {
  const { last, checkpoint } = tally;
  if (last === null) return [];
  const kept = checkpoint === null ? [] : [`checkpoint     ${folder}/${checkpoint}`];
  const next =
    checkpoint === null
      ? []
      : [
          `next: ${look(folder, topology)}`,
          ...(done.steps >= topology.train.steps ? [] : [`      npx troupe resume ${folder}`]),
        ];
  return [
    '',
    ...lossChart(tally.losses),
    '',
    `loss           ${natsAToken(last.loss)} after step ${last.step}`,
    `held-out loss  ${heldOut(done)}`,
    `speed          ${count(done.tokensPerSecond ?? 0)} tokens/s, MFU ${percent(tally.mfu)}, ${duration(done.seconds)} in all`,
    `on the wire    ${bytes(done.wireBytes)}`,
    ...kept,
    `metrics        ${folder}/metrics.jsonl`,
    ...(next.length === 0 ? [] : ['', ...next]),
  ];
}
