import { fewerTokens, type DataSource } from '@troupe/data';
import type { ResolvedTopology } from '@troupe/topology';

/**
 * What people should know of data before they wait for a run on them, one sentence each: fewer tokens than asked for, nothing held out
 * though something should be, fewer sequences than a step takes. Synthetic tokens have none of it.
 */
export function dataWarnings(
  topology: ResolvedTopology,
  { tokenizer, batches }: DataSource,
): readonly string[] {
  if (tokenizer === null) return [];
  const { holdout } = topology.data;
  const { kind, file, vocab } = topology.data.tokenizer;
  const { batch } = topology.train;
  const { numEvalSequences, numTrainWindows, seqLen } = batches;
  return [
    ...(kind === 'bpe' && file === null && vocab !== null && tokenizer.vocabSize < vocab
      ? [fewerTokens(tokenizer.vocabSize, vocab)]
      : []),
    ...(holdout > 0 && numEvalSequences === 0
      ? [
          `data.holdout ${holdout} holds no document out, so there is no held-out loss; add documents, or raise data.holdout`,
        ]
      : []),
    ...(numTrainWindows < batch
      ? [
          `the training text has ${numTrainWindows} sequence${numTrainWindows === 1 ? '' : 's'} of ${seqLen} tokens, fewer than the ${batch} of a step (train.batch), so every step sees some of them more than once; add text, or lower train.batch or model.seqLen`,
        ]
      : []),
  ];
}
