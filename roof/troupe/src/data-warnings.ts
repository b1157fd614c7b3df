import { counted } from '@troupe/core';
import { fewerTokens, type DataSource } from '@troupe/data';
import type { ResolvedTopology } from '@troupe/topology';

/** Share of a task's texts that may be left out without a word. */
const FEW = 0.01;

/** Texts that no window holds, by task: the language of which most are left out is named. */
function leftOut(tasks: NonNullable<DataSource['tasks']>): readonly string[] {
  return [...new Set(tasks.map(({ task }) => task))].flatMap((name) => {
    const shares = tasks
      .filter(({ task, tooLong, items }) => task === name && tooLong > FEW * (items + tooLong))
      .toSorted((a, b) => b.tooLong - a.tooLong);
    const [worst] = shares;
    if (worst === undefined) return [];
    const { language, tooLong, items } = worst;
    const others = shares.length === 1 ? '' : `, and some of ${counted(shares.length - 1, 'other')}`;
    return [
      `${name} leaves out ${tooLong} of ${items + tooLong} texts of ${language}${others}: no sequence holds them; raise model.seqLen (and model.encoder.seqLen) to use them`,
    ];
  });
}

/**
 * What people should know of data before they wait for a run on them, one sentence each: fewer tokens than asked for, nothing held out
 * though something should be, texts too long for a sequence, fewer sequences than a step takes. Synthetic tokens have none of it.
 *
 * @param isTokenizerGiven - it is the one of a checkpoint, of which nobody asked for a size
 */
export function dataWarnings(
  topology: ResolvedTopology,
  { tokenizer, batches, tasks = [] }: DataSource,
  isTokenizerGiven = false,
): readonly string[] {
  if (tokenizer === null) return [];
  const { holdout, source } = topology.data;
  const { kind, file, vocab } = topology.data.tokenizer;
  const { batch } = topology.train;
  const { numEvalSequences, numTrainWindows, seqLen } = batches;
  return [
    ...(!isTokenizerGiven && kind === 'bpe' && file === null && vocab !== null && tokenizer.vocabSize < vocab
      ? [fewerTokens(tokenizer.vocabSize, vocab)]
      : []),
    ...(holdout > 0 && numEvalSequences === 0
      ? [
          source.kind === 'parallel' && source.tasks.every(({ evaluate }) => !evaluate)
            ? 'no task is evaluated (data.tasks: evaluate is false for all), so there is no held-out loss; leave evaluate out for one'
            : `data.holdout ${holdout} holds no document out, so there is no held-out loss; add documents, or raise data.holdout`,
        ]
      : []),
    ...leftOut(tasks),
    ...(numTrainWindows < batch
      ? [
          `the training text has ${numTrainWindows} sequence${numTrainWindows === 1 ? '' : 's'} of ${seqLen} tokens, fewer than the ${batch} of a step (train.batch), so every step sees some of them more than once; add text, or lower train.batch or model.seqLen`,
        ]
      : []),
  ];
}
