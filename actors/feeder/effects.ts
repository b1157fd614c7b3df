import { assert, deserializeError } from '@troupe/core';
import { numValidTargets, numValidTokens } from '@troupe/model';
import type { Effects, Self } from '@troupe/runtime';
import { addresses } from '../addresses.ts';
import { jobShape, type Job } from '../job.ts';
import type { FeederEvent } from './events.ts';
import { arraysOfAll, NUM_ARRAYS, type TokenBatch, type TokenSource } from './token-source.ts';

export function feederEffects(
  self: Self,
  job: Job,
  dp: number,
  source: TokenSource,
): Effects<never, FeederEvent> {
  const shape = jobShape(job);
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
  return {
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
}
