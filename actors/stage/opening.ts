import { assert, type HostFloats } from '@troupe/core';
import { streamCoefficients, type Streams } from '@troupe/model';
import { batchOf, globalStreams } from '../token-tensors.ts';
import { inputKey, inputOf, nextOf } from './cursor.ts';
import type { StageSelf } from './events.ts';
import type { StageEffects } from './machine.ts';
import type { StageState } from './state.ts';

type OpeningEffects = Pick<
  StageEffects,
  'acceptBatch' | 'acceptInput' | 'open' | 'begin' | 'awaitInput' | 'endWait' | 'abandon'
>;

/** Steps begin and are left, and what they need comes in. */
export function openingEffects(self: StageSelf, state: StageState): OpeningEffects {
  const { worker, passes, batches, inputs } = state;
  const { job, rank } = worker;
  const { model, layout } = job;
  return {
    acceptBatch: ({ step, microbatch, tensors }) => {
      batches.set(`${step}/${microbatch}`, batchOf(tensors));
    },
    acceptInput: (event) => {
      const { step, attempt, microbatch } = event;
      const [key, values]: [string, Streams<HostFloats>] =
        event.type === 'hidden.ready'
          ? [
              inputKey({ step, attempt, microbatch, ...event.body, direction: 'forward' }),
              { decoder: event.tensors.hidden_TD, encoder: event.tensors.source_SD ?? null },
            ]
          : [
              inputKey({ step, attempt, microbatch, ...event.body, mode: 'train', direction: 'backward' }),
              { decoder: event.tensors.dHidden_TD, encoder: event.tensors.dSource_SD ?? null },
            ];
      assert(!inputs.has(key), 'the place of an arrival is free (PAS-1)', { stage: rank, key });
      inputs.set(key, values);
    },
    open: ({ attempt, body }) => {
      worker.enter(attempt);
      // A global balance loss waits for the counts of the whole batch (`shareBalance`); one of weight 0 has nothing to wait for.
      const balance = model.moe?.balance;
      const isKnown = balance !== undefined && (balance.scope !== 'global' || balance.auxLoss === 0);
      const global = globalStreams(layout.dealing.batch, body);
      state.step = { counted: body, balance: isKnown ? streamCoefficients(model, global) : null };
    },
    begin: (_event, { mode, step, attempt }) => {
      passes.statistics(mode).reset();
      state.evaluated = 0;
      for (const key of inputs.keys()) if (!key.startsWith(`${step}/${attempt}/`)) inputs.delete(key);
      if (mode === 'evaluate') return;
      for (const key of batches.keys()) if (Number(key.split('/')[0]) < step) batches.delete(key);
    },
    awaitInput: (_event, context) => {
      const next = nextOf(context);
      const input = next === null ? null : inputOf(context, next);
      assert(next && input !== null, 'a stage waits for what another one sends', { next: context.next });
      const { chunk, microbatch, direction } = next;
      const neighbour = direction === 'forward' ? layout.previousOf(rank, chunk) : layout.nextOf(rank, chunk);
      self.wait({
        name: 'input',
        awaited: neighbour === null ? [] : [neighbour.stage],
        reason: direction === 'forward' ? 'the stage before it' : 'the gradient of the stage behind it',
        step: context.step,
        microbatch,
        deadlineMs: job.deadlines.stepMs,
      });
    },
    endWait: () => self.endWait('input'),
    abandon: ({ attempt, tensors }) => {
      worker.abandon(self, attempt, tensors.groups_LE);
      self.endWait('balance');
      self.endWait('input');
      passes.clear();
      inputs.clear();
    },
  };
}
