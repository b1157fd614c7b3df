import type { DoneEvent } from '@troupe/telemetry';
import { lossChart } from './loss-chart.ts';
import { bytes, count, duration, nats, natsAToken, percent } from './numbers.ts';
import type { Tally } from './tally.ts';

/** What a run that ended leaves on the screen: curve, speed, what the loss means, what to type next. `steps`: of the schedule. */
export function summary(folder: string, tally: Tally, done: DoneEvent, steps: number): readonly string[] {
  const { last, checkpoint } = tally;
  if (last === null) return [];
  const { evalLoss, unigramEntropy, bigramCrossEntropy } = done;
  const kept = checkpoint === null ? [] : [`checkpoint     ${folder}/${checkpoint}`];
  const next =
    checkpoint === null
      ? []
      : [
          `next: npx troupe generate ${folder}`,
          ...(done.steps >= steps ? [] : [`      npx troupe resume ${folder}`]),
        ];
  return [
    '',
    ...lossChart(tally.losses),
    '',
    `loss           ${natsAToken(last.loss)} after step ${last.step}`,
    evalLoss === null
      ? `held-out loss  not measured in these steps (eval.every)`
      : `held-out loss  ${nats(evalLoss)}; of all held-out tokens: unigram entropy ${nats(unigramEntropy)}, bigram cross entropy ${nats(bigramCrossEntropy)}`,
    `speed          ${count(done.tokensPerSecond ?? 0)} tokens/s, MFU ${percent(tally.mfu)}, ${duration(done.seconds)} in all`,
    `on the wire    ${bytes(done.wireBytes)}`,
    ...kept,
    `metrics        ${folder}/metrics.jsonl`,
    ...(next.length === 0 ? [] : ['', ...next]),
  ];
}
