import {
  attentionForward,
  balanceCoefficients,
  embedForward,
  ffnForward,
  headBackward,
  headForward,
} from '@troupe/model';
import { isMoeLayer } from '@troupe/spec';
import { addresses } from '@troupe/topology/layout';
import { slotOf } from '../pass.ts';
import type { StageEffects } from './machine.ts';
import type { StageSelf } from './events.ts';
import { messagePlace, type StageState } from './state.ts';

type ForwardEffects = Pick<
  StageEffects,
  'forwardAttention' | 'route' | 'forwardHead' | 'shareBalance' | 'acceptBalance'
>;

/** From the tokens of a pass to its loss. */
export function forwardEffects(self: StageSelf, state: StageState): ForwardEffects {
  const { worker, passes } = state;
  const { job, device } = worker;
  const { model, layout } = job;
  return {
    forwardAttention: (_event, context) => {
      const { layer } = context;
      const { batch, context: ctx } = state.passOf(context);
      const calls = [
        ...(layer === 0 ? embedForward(ctx, batch) : []),
        ...attentionForward(ctx, layer, batch),
        ...(isMoeLayer(model, layer) ? [] : ffnForward(ctx, layer)),
      ];
      worker.chain(self, calls, 'attention.forwarded', messagePlace(context));
    },
    route: (_event, context) => {
      const body = { mode: context.mode, slot: slotOf(context) };
      self.tell(state.gateOf(context.layer), 'forward.run', { ...messagePlace(context), body });
    },
    forwardHead: (_event, context) => {
      const { batch, context: ctx } = state.passOf(context);
      const isEvaluation = context.mode === 'evaluate';
      const calls = isEvaluation
        ? headForward(ctx, batch, { evaluate: true })
        : [...headForward(ctx, batch, { gradScale: 1 / state.openStep.targets }), ...headBackward(ctx)];
      // What follows reads the loss of an evaluation, or the counts of the whole batch.
      if (isEvaluation || context.sharesBalance)
        self.submit(device, calls, 'head.finished', messagePlace(context));
      else worker.chain(self, calls, 'head.finished', messagePlace(context));
    },
    shareBalance: (_event, context) => {
      const counts_LE = state.passOf(context).context.statistics.counts();
      self.tell(addresses.trainer, 'balance.share', { ...messagePlace(context), tensors: { counts_LE } });
      self.wait({
        name: 'balance',
        awaited: [addresses.trainer],
        reason: 'the balance of the whole batch',
        step: context.step,
        deadlineMs: job.deadlines.stepMs,
      });
    },
    acceptBalance: ({ tensors: { counts_LE } }, context) => {
      self.endWait('balance');
      const pass = state.passOf(context);
      const experts = model.moe?.experts ?? 0;
      const layers = pass.context.statistics.layers.map(({ layer }, index) => ({
        layer,
        counts_E: counts_LE.slice(index * experts, (index + 1) * experts),
      }));
      const sizes = { sequences: layout.dealing.batch, tokens: state.openStep.tokens };
      passes.balance(pass, balanceCoefficients(model, sizes, layers));
    },
  };
}
