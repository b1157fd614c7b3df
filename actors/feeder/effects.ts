import { address, assert, deserializeError } from '@troupe/core';
import { evaluationParts, joinedParts, numUsedRuns, numValidTargets, numValidTokens } from '@troupe/model';
import { routingDomain } from '@troupe/spec';
import { type WorkerRank } from '@troupe/topology/layout';
import { agentFor } from '../crew.ts';
import type { Job } from '../job.ts';
import { addCounts, tensorsOf, type Counted } from '../token-tensors.ts';
import { Answers, placeOf, type Request } from './answers.ts';
import type { FeederSelf } from './events.ts';
import type { FeederEffects } from './machine.ts';
import type { TokenBatch, TokenSource } from './token-source.ts';

export function feederEffects(
  self: FeederSelf,
  { layout, model, evaluationSequences }: Job,
  worker: WorkerRank,
  source: TokenSource,
): FeederEffects {
  const { dealing } = layout;
  const sequencesPerDomain = (model.moe?.balance.domain ?? 1) * dealing.sequencesPerGrain;
  const countsOf = ({ targets_T, valid_T, source }: TokenBatch): Counted => {
    const used = (valid: Uint8Array, seqLen: number): number =>
      numUsedRuns(valid, sequencesPerDomain * seqLen);
    const own = {
      targets: numValidTargets(targets_T),
      tokens: numValidTokens(valid_T),
      domains: used(valid_T, model.seqLen),
    };
    if (source === undefined || model.encoder === null) return own;
    const sourceDomains = used(source.valid_T, model.encoder.seqLen);
    return { ...own, sourceTokens: numValidTokens(source.valid_T), sourceDomains };
  };
  const replica = layout.at(worker).dp;
  /** All of them look at the tokens: at ids, at what may be attended to, at what is padding, at targets. */
  const stages = layout.stagesOf(replica);
  const answers = new Answers(self);
  const passStep = ({ step }: Request, batches: readonly TokenBatch[]): void => {
    batches.forEach((batch, microbatch) => {
      const tensors = tensorsOf(batch);
      for (const stage of stages) self.tell(stage, 'batch.ready', { step, microbatch, tensors });
    });
    self.tell(agentFor(layout, worker), 'batch.counted', { step, body: addCounts(batches.map(countsOf)) });
  };
  /** What one pass of an evaluation asks the source for. */
  const evaluationOf = (pass: number) => {
    const { first, count } = dealing.sequencesOf(replica, pass);
    const end = {
      sequences: evaluationSequences,
      domain: routingDomain(model.moe, dealing.sequencesPerGrain),
    };
    return evaluationParts(first, count, end);
  };
  const passEvaluation = (request: Request, batches: readonly TokenBatch[]): void => {
    const batch = joinedParts(evaluationOf(request.microbatch), batches);
    const body = { targets: numValidTargets(batch.targets_T) };
    const { step, attempt, microbatch, asker } = request;
    assert(asker !== null, 'a stage asks for the sequences of an evaluation pass');
    self.tell(asker, 'evaluation.ready', { step, attempt, microbatch, tensors: tensorsOf(batch), body });
  };
  return {
    feedStep: (event) => {
      const batches = Array.from({ length: dealing.microbatches }, (_, microbatch) => {
        const { first, count } = dealing.sequencesOf(replica, microbatch);
        return source.trainBatch(event.step, first, count);
      });
      answers.serve(batches, { ...placeOf(event), asker: null }, 'step.loaded', passStep);
    },
    feedEvaluation: (event) => {
      const batches = evaluationOf(event.microbatch).map(({ first, count }) =>
        source.evalBatch(first, count),
      );
      answers.serve(batches, { ...placeOf(event), asker: event.from }, 'evaluation.loaded', passEvaluation);
    },
    passStep: (event) => {
      const request = { ...placeOf(event), asker: null };
      passStep(request, answers.taken(request));
    },
    passEvaluation: (event) => {
      const request = { ...placeOf(event), asker: address(event.body.asker) };
      passEvaluation(request, answers.taken(request));
    },
    failSource: ({ error }) => {
      assert(error, 'a source that failed says why');
      self.fail(deserializeError(error));
    },
  };
}
