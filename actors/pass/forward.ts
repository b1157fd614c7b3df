import { assert } from '@troupe/core';
import type { Floats } from '@troupe/kernel-set';
import {
  attentionForward,
  embedForward,
  ffnForward,
  finalNormForward,
  headForward,
  headLogits,
  moeForward,
  type StageContext,
  type Step,
} from '@troupe/model';
import type { PassSelf } from './events.ts';
import type { PassEffects } from './machine.ts';
import { messagePlace } from './place.ts';
import type { PassState } from './state.ts';

type ForwardEffects = Pick<
  PassEffects,
  | 'forwardAttention'
  | 'route'
  | 'joinRows'
  | 'shareSums'
  | 'acceptShare'
  | 'evaluateHead'
  | 'sendHidden'
  | 'finishForward'
>;

/** Logits of single tokens, [rows, V]. */
function logitsOf(ctx: StageContext, rows: readonly number[], out: Floats): readonly Step[] {
  const { vocab } = ctx.shape.config;
  return rows.flatMap((firstRow, index) =>
    headLogits(ctx, { firstRow, rows: 1, out: out.subarray(index * vocab, (index + 1) * vocab) }),
  );
}

/** From the tokens of a pass, or what the stage before made of them, to the end of the chunk. */
export function forwardEffects(self: PassSelf, state: PassState): ForwardEffects {
  const { worker, slot, steps } = state;
  const { device } = worker;
  const { mode, chunk, plan } = slot;
  return {
    forwardAttention: (_event, context) => {
      const { layer } = context;
      const { batch, context: ctx } = state.passOf(context);
      const all = [
        ...(plan.hasEmbedding && layer === context.firstLayer ? embedForward(ctx, batch) : []),
        ...attentionForward(ctx, layer, batch),
        ...(context.moeLayers.has(layer) ? [] : ffnForward(ctx, layer)),
      ];
      steps.run(all, 'attention.forwarded', context);
    },
    route: (_event, context) => {
      const body = { mode, slot: slot.index };
      self.tell(state.gateOf(context.layer, 'forward'), 'forward.run', { ...messagePlace(context), body });
    },
    joinRows: (_event, context) => {
      const { context: ctx } = state.passOf(context);
      steps.run(moeForward(ctx, context.layer), 'rows.joined', context);
    },
    shareSums: () => steps.share(),
    acceptShare: (event) => steps.accept(event),
    evaluateHead: (_event, context) => {
      const { batch, rows, context: ctx } = state.passOf(context);
      const all =
        rows === null
          ? headForward(ctx, batch, { evaluate: true })
          : [{ calls: finalNormForward(ctx) }, ...logitsOf(ctx, rows, state.logitsRoom(rows.length))];
      // What follows reads the loss, or the logits.
      steps.run(all, 'head.finished', context, true);
    },
    sendHidden: (_event, context) => {
      const { next } = state;
      assert(next, 'a chunk without the head has one behind it', { chunk });
      const { act } = state.passOf(context).context;
      const found = device.read(act.hidden(context.lastLayer + 1));
      // An evaluation uses its buffers again before the next stage has this.
      const hidden_TD = mode === 'evaluate' ? found.slice() : found;
      self.tell(next.stage, 'hidden.ready', {
        ...messagePlace(context),
        body: { mode, chunk: next.chunk },
        tensors: { hidden_TD },
      });
    },
    finishForward: (_event, context) => {
      state.segments.leave(context);
      self.tell(state.stage, 'pass.forwarded', { ...messagePlace(context), body: { chunk } });
    },
  };
}
