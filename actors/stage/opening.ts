import { assert } from '@troupe/core';
import { balanceCoefficients } from '@troupe/model';
import type { StageEffects } from './machine.ts';
import type { StageSelf } from './events.ts';
import { placeOf, type StageState } from './state.ts';

type OpeningEffects = Pick<
  StageEffects,
  'acceptBatch' | 'open' | 'begin' | 'openPass' | 'closePass' | 'abandon'
>;

/** Steps and passes begin and end. */
export function openingEffects(self: StageSelf, state: StageState): OpeningEffects {
  const { worker, passes, batches, held } = state;
  const { job } = worker;
  const { model, layout } = job;
  return {
    acceptBatch: ({ step, microbatch, tensors }) => {
      batches.set(`${step}/${microbatch}`, tensors);
    },
    open: ({ attempt, body: { targets, tokens } }) => {
      worker.enter(attempt);
      // A global balance loss waits for the counts of the whole batch (`shareBalance`); one of weight 0 has nothing to wait for.
      const balance = model.moe?.balance;
      const isKnown = balance !== undefined && (balance.scope !== 'global' || balance.auxLoss === 0);
      const sizes = { sequences: layout.dealing.batch, tokens };
      state.step = { targets, tokens, balance: isKnown ? balanceCoefficients(model, sizes) : null };
    },
    begin: (_event, context) => {
      passes.statistics(context.mode).reset();
      state.evaluated = 0;
      if (context.mode === 'evaluate') return;
      for (const key of batches.keys()) if (Number(key.split('/')[0]) < context.step) batches.delete(key);
    },
    openPass: (_event, context) => {
      const { step, microbatch } = context;
      const batch = batches.get(`${step}/${microbatch}`);
      assert(batch, 'the tokens of a pass are here before it begins', { step, microbatch });
      passes.open(placeOf(context), batch, state.openStep.balance);
    },
    closePass: (_event, context) => passes.close(placeOf(context)),
    abandon: ({ attempt }) => {
      worker.abandon(self, attempt);
      self.endWait('balance');
      passes.clear();
      held.length = 0;
    },
  };
}
