import { assert, type HostFloats } from '@troupe/core';
import type { Floats } from '@troupe/kernel-set';
import {
  attentionForward,
  embedStreams,
  ffnForward,
  finalNormForward,
  headForward,
  headLogits,
  moeForward,
  type StageContext,
  type Step,
} from '@troupe/model';
import { streamOfPass } from '../passes.ts';
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
      const pass = state.passOf(context);
      const { batch, context: ctx } = streamOfPass(pass, layer);
      const all = [
        ...(plan.hasEmbedding && layer === context.firstLayer ? embedStreams(pass.streams) : []),
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
      const { context: ctx } = streamOfPass(state.passOf(context), context.layer);
      steps.run(moeForward(ctx, context.layer), 'rows.joined', context);
    },
    shareSums: () => steps.share(),
    acceptShare: (event) => steps.accept(event),
    evaluateHead: (_event, context) => {
      const { rows, streams } = state.passOf(context);
      const { batch, context: ctx } = streams.decoder;
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
      const { decoder, encoder } = state.passOf(context).act.outputs;
      // An evaluation uses its buffers again before the next stage has this.
      const sent = (rows: Floats): HostFloats =>
        mode === 'evaluate' ? device.read(rows).slice() : device.read(rows);
      self.tell(next.stage, 'hidden.ready', {
        ...messagePlace(context),
        body: { mode, chunk: next.chunk },
        tensors: {
          hidden_TD: sent(decoder),
          ...(encoder === null ? {} : { source_SD: sent(encoder) }),
        },
      });
    },
    finishForward: (_event, context) => {
      state.segments.leave(context);
      self.tell(state.stage, 'pass.forwarded', { ...messagePlace(context), body: { chunk } });
    },
  };
}
