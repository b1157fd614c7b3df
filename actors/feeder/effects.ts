import { assert, deserializeError, isThenable } from '@troupe/core';
import { numValidTargets, numValidTokens } from '@troupe/model';
import type { Place } from '@troupe/runtime';
import { addresses, type WorkerRank } from '@troupe/topology/layout';
import type { Job } from '../job.ts';
import type { FeederSelf } from './events.ts';
import type { FeederEffects } from './machine.ts';
import type { TokenBatch, TokenSource } from './token-source.ts';

type Answer = TokenBatch | PromiseLike<TokenBatch>;
type Request = Required<Pick<Place, 'step' | 'attempt' | 'microbatch'>>;

const keyOf = ({ step, attempt, microbatch }: Request): string => `${step}/${attempt}/${microbatch}`;
const isHere = (batch: Answer): batch is TokenBatch => !isThenable(batch);

export function feederEffects(
  self: FeederSelf,
  { layout }: Job,
  worker: WorkerRank,
  source: TokenSource,
): FeederEffects {
  const { dealing } = layout;
  const replica = layout.at(worker).dp;
  const stage = layout.stageOf(worker);
  /** What a source that had to be waited for has answered, until its event comes. */
  const answered = new Map<string, readonly TokenBatch[]>();

  /** Passes batches on: at once where they are here, so that a source that answers at once costs no turn. */
  const serve = (
    batches: readonly Answer[],
    { step, attempt, microbatch }: Request,
    loaded: 'step.loaded' | 'evaluation.loaded',
    pass: (request: Request, batches: readonly TokenBatch[]) => void,
  ): void => {
    const request = { step, attempt, microbatch };
    if (batches.every(isHere)) {
      pass(request, batches);
      return;
    }
    const all = Promise.all(batches.map((batch) => Promise.resolve(batch))).then((found) => {
      answered.set(keyOf(request), found);
      return {};
    });
    self.settle(all, loaded, 'source.failed', request);
  };
  const taken = (request: Request): readonly TokenBatch[] => {
    const key = keyOf(request);
    const batches = answered.get(key);
    assert(batches, 'a batch that was loaded is here', { key });
    answered.delete(key);
    return batches;
  };
  const passStep = ({ step }: Request, batches: readonly TokenBatch[]): void => {
    let targets = 0;
    let tokens = 0;
    batches.forEach((batch, microbatch) => {
      targets += numValidTargets(batch.targets_T);
      tokens += numValidTokens(batch.valid_T);
      self.tell(stage, 'batch.ready', { step, microbatch, tensors: tensorsOf(batch) });
    });
    self.tell(addresses.trainer, 'batch.counted', { step, body: { targets, tokens } });
  };
  const passEvaluation = (request: Request, [batch]: readonly TokenBatch[]): void => {
    assert(batch, 'an evaluation pass has one batch');
    const body = { targets: numValidTargets(batch.targets_T) };
    self.tell(stage, 'evaluation.ready', { ...request, tensors: tensorsOf(batch), body });
  };
  return {
    feedStep: (event) => {
      const batches = Array.from({ length: dealing.microbatches }, (_, microbatch) => {
        const { first, count } = dealing.sequencesOf(replica, microbatch);
        return source.trainBatch(event.step, first, count);
      });
      serve(batches, event, 'step.loaded', passStep);
    },
    feedEvaluation: (event) => {
      const { first, count } = dealing.sequencesOf(replica, event.microbatch);
      const batch = source.evalBatch(first, count);
      serve([batch], event, 'evaluation.loaded', passEvaluation);
    },
    passStep: (event) => passStep(event, taken(event)),
    passEvaluation: (event) => passEvaluation(event, taken(event)),
    failSource: ({ error }) => {
      assert(error, 'a source that failed says why');
      self.fail(deserializeError(error));
    },
  };
}

/** A batch of a source of tokens may have more fields than travel. */
const tensorsOf = ({ ids_T, targets_T, firstSeen_T, valid_T }: TokenBatch): TokenBatch => ({
  ids_T,
  targets_T,
  firstSeen_T,
  valid_T,
});
