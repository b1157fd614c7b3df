import { numValidTargets, numValidTokens } from '@troupe/model';
import type { Effects, Mount } from '@troupe/runtime';
import { addresses } from '../addresses.ts';
import { jobShape, type Job } from '../job.ts';
import type { FeederEvent } from './events.ts';
import { feederMachine } from './machine.ts';

/** The tokens of consecutive sequences, one after the other; see `Batch` of the model. */
export interface TokenBatch {
  readonly ids_T: Int32Array;
  readonly targets_T: Int32Array;
  readonly firstSeen_T: Int32Array;
  readonly valid_T: Uint8Array;
}

/**
 * Where sequences come from. DAT-1: sequence i of step t is a pure function of (seed, t, i), so any replica may ask for any of them.
 */
export interface TokenSource {
  /** Sequences [first, first + count) of the global batch of `step` (from 1). */
  trainBatch(step: number, first: number, count: number): TokenBatch;
  /** Held-out sequences [first, first + count); beyond the last: padding (targets -1, valid 0). */
  evalBatch(first: number, count: number): TokenBatch;
}

export function mountFeeder(job: Job, dp: number, source: TokenSource): Mount {
  const shape = jobShape(job);
  return (self) => {
    const effects: Effects<never, FeederEvent> = {
      feedStep: ({ step }) => {
        let targets = 0;
        let tokens = 0;
        for (let microbatch = 0; microbatch < job.microbatches; microbatch++) {
          const first = dp * shape.replicaSequences + microbatch * shape.microbatchSequences;
          const batch = source.trainBatch(step, first, shape.microbatchSequences);
          targets += numValidTargets(batch.targets_T);
          tokens += numValidTokens(batch.valid_T);
          const tensors = [batch.ids_T, batch.targets_T, batch.firstSeen_T, batch.valid_T];
          self.tell(addresses.stage(dp), 'batch.ready', { step, microbatch, tensors });
        }
        self.tell(addresses.trainer, 'batch.counted', { step, body: { targets, tokens } });
      },
      feedEvaluation: ({ step, attempt, microbatch }) => {
        const perPass = job.dp * shape.microbatchSequences;
        const batch = source.evalBatch(
          microbatch * perPass + dp * shape.microbatchSequences,
          shape.microbatchSequences,
        );
        const tensors = [batch.ids_T, batch.targets_T, batch.firstSeen_T, batch.valid_T];
        self.tell(addresses.stage(dp), 'evaluation.ready', {
          step,
          attempt,
          microbatch,
          tensors,
          body: { targets: numValidTargets(batch.targets_T) },
        });
      },
    };
    return { machine: feederMachine, input: undefined, effects };
  };
}
