import { assert, deserializeError, isThenable, type TensorArray } from '@troupe/core';
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
  trainBatch(step: number, first: number, count: number): TokenBatch | PromiseLike<TokenBatch>;
  /** Held-out sequences [first, first + count); beyond the last: padding (targets -1, valid 0). */
  evalBatch(first: number, count: number): TokenBatch | PromiseLike<TokenBatch>;
}

/** Arrays of a batch. */
const NUM_ARRAYS = 4;

const arraysOf = ({ ids_T, targets_T, firstSeen_T, valid_T }: TokenBatch): readonly TensorArray[] => [
  ids_T,
  targets_T,
  firstSeen_T,
  valid_T,
];

/** The arrays of batches, one batch after the other: at once, or a promise where one of them has to be waited for. */
function arraysOfAll(
  batches: readonly (TokenBatch | PromiseLike<TokenBatch>)[],
): readonly TensorArray[] | Promise<readonly TensorArray[]> {
  const isHere = (batch: TokenBatch | PromiseLike<TokenBatch>): batch is TokenBatch => !isThenable(batch);
  if (batches.every(isHere)) return batches.flatMap(arraysOf);
  return Promise.all(batches.map((batch) => Promise.resolve(batch))).then((all) => all.flatMap(arraysOf));
}

export function mountFeeder(job: Job, dp: number, source: TokenSource): Mount {
  const shape = jobShape(job);
  return (self) => {
    /** Passes arrays on as `loaded` does, at once where they are here, so that a source that answers at once costs no turn. */
    const serve = (
      batches: readonly (TokenBatch | PromiseLike<TokenBatch>)[],
      event: FeederEvent,
      loaded: {
        readonly type: 'step.loaded' | 'evaluation.loaded';
        readonly pass: (event: FeederEvent) => void;
      },
    ): void => {
      const { step, attempt, microbatch } = event;
      const arrays = arraysOfAll(batches);
      if (!(arrays instanceof Promise)) loaded.pass({ ...event, tensors: arrays });
      else
        self.settle(
          arrays.then((tensors) => ({ tensors })),
          loaded.type,
          'source.failed',
          {
            step,
            attempt,
            microbatch,
          },
        );
    };
    const passStep = ({ step, tensors }: FeederEvent): void => {
      let targets = 0;
      let tokens = 0;
      for (let microbatch = 0; microbatch < job.microbatches; microbatch++) {
        const arrays = tensors.slice(microbatch * NUM_ARRAYS, (microbatch + 1) * NUM_ARRAYS);
        targets += numValidTargets(arrays[1] as Int32Array);
        tokens += numValidTokens(arrays[3] as Uint8Array);
        self.tell(addresses.stage(dp), 'batch.ready', { step, microbatch, tensors: arrays });
      }
      self.tell(addresses.trainer, 'batch.counted', { step, body: { targets, tokens } });
    };
    const passEvaluation = ({ step, attempt, microbatch, tensors }: FeederEvent): void =>
      self.tell(addresses.stage(dp), 'evaluation.ready', {
        step,
        attempt,
        microbatch,
        tensors,
        body: { targets: numValidTargets(tensors[1] as Int32Array) },
      });
    const effects: Effects<never, FeederEvent> = {
      feedStep: (event) => {
        const batches = Array.from({ length: job.microbatches }, (_, microbatch) =>
          source.trainBatch(
            event.step,
            dp * shape.replicaSequences + microbatch * shape.microbatchSequences,
            shape.microbatchSequences,
          ),
        );
        serve(batches, event, { type: 'step.loaded', pass: passStep });
      },
      feedEvaluation: (event) => {
        const first = (event.microbatch * job.dp + dp) * shape.microbatchSequences;
        const batch = source.evalBatch(first, shape.microbatchSequences);
        serve([batch], event, { type: 'evaluation.loaded', pass: passEvaluation });
      },
      passStep,
      passEvaluation,
      failSource: ({ error }) => {
        assert(error, 'a source that failed says why');
        self.fail(deserializeError(error));
      },
    };
    return { machine: feederMachine, input: undefined, effects };
  };
}
