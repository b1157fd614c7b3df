import { assert } from '@troupe/core';
import { windowBatch, windowSource } from '@troupe/model';
import { batchOf } from '../token-tensors.ts';
import { nextOf } from './cursor.ts';
import type { StageEffects } from './machine.ts';
import type { StageSelf } from './events.ts';
import { placeOf, type StageState } from './state.ts';

type EvaluationEffects = Pick<
  StageEffects,
  'askEvaluation' | 'acceptEvaluation' | 'reportEvaluation' | 'acceptQuestion' | 'reportLogits'
>;

const none = new Int32Array(0);

/** Texts that lie one behind the other. */
function textsOf(ids_T: Int32Array, lengths_N: Int32Array): readonly Int32Array[] {
  let end = 0;
  return Array.from(lengths_N, (length) => {
    end += length;
    return ids_T.subarray(end - length, end);
  });
}

/** Forward passes over held-out sequences, asked for one by one. */
export function evaluationEffects(self: StageSelf, state: StageState): EvaluationEffects {
  const { worker, passes, agent } = state;
  const { layout } = worker.job;
  const { hasHead } = layout.stagePlan(worker.at.pp);
  return {
    askEvaluation: (_event, context) => {
      const next = nextOf(context);
      assert(next, 'an evaluation pass is left', { next: context.next });
      self.tell(layout.feederOf(worker.rank), 'evaluation.prefetch', placeOf(context, next));
    },
    acceptEvaluation: ({ body, tensors }) => {
      state.sequences = batchOf(tensors);
      state.rows = null;
      state.evaluated += body.targets;
    },
    acceptQuestion: ({ tensors: { ids_T, lengths_N, sourceIds_S, sourceLengths_N } }) => {
      const isAsked = worker.at.dp === 0;
      const { microbatchSequences: sequences } = layout.dealing;
      const { seqLen, encoder } = worker.job.model;
      const texts = isAsked ? textsOf(ids_T, lengths_N) : [];
      const batch = windowBatch(texts, sequences * seqLen, seqLen);
      const size = { sequences, seqLen, encoderSeqLen: encoder?.seqLen ?? 0 };
      const sources = isAsked ? textsOf(sourceIds_S ?? none, sourceLengths_N ?? none) : [];
      state.sequences = encoder === null ? batch : { ...batch, source: windowSource(sources, size) };
      state.rows = isAsked ? texts.map(({ length }, index) => index * seqLen + length - 1) : null;
    },
    reportLogits: (_event, { step, attempt, wanted }) => {
      // Every tensor peer has all words: one of them says them.
      const rows = hasHead && worker.at.tp === 0 ? state.rows : null;
      const tensors = rows === null ? {} : { logits_NV: passes.logits(rows.length) };
      self.tell(agent, 'generation.logits', { step, attempt, version: wanted, tensors });
      worker.meter.take();
    },
    reportEvaluation: (_event, { step, attempt, wanted }) => {
      const { lossSum } = passes.statistics('evaluate').totals();
      // Where the loss is, its targets are counted.
      const body = { targets: hasHead ? state.evaluated : 0 };
      self.tell(agent, 'stage.evaluated', {
        step,
        attempt,
        version: wanted,
        tensors: { lossSum },
        body,
      });
      worker.meter.take();
    },
  };
}
