import { assert } from '@troupe/core';
import { attentionBackward, embedBackward, ffnBackward, headBackward, headForward } from '@troupe/model';
import type { PassSelf } from './events.ts';
import type { PassEffects } from './machine.ts';
import { messagePlace, type PassState } from './state.ts';

type BackwardEffects = Pick<
  PassEffects,
  | 'backwardHead'
  | 'unroute'
  | 'sendHeld'
  | 'backwardAttention'
  | 'holdLayer'
  | 'backwardEmbedding'
  | 'holdEmbedding'
  | 'sendGradient'
  | 'finishBackward'
>;

/** From the loss, or the gradient that the stage behind sent, to the gradient of the chunk's input. */
export function backwardEffects(self: PassSelf, state: PassState): BackwardEffects {
  const { worker, slot, held, finished } = state;
  const { device } = worker;
  return {
    backwardHead: (_event, context) => {
      const { batch, targets, context: ctx } = state.passOf(context);
      const calls = [...headForward(ctx, batch, { gradScale: 1 / targets }), ...headBackward(ctx)];
      worker.chain(self, calls, 'head.finished', messagePlace(context));
    },
    unroute: (_event, context) => {
      const body = { last: context.last, slot: slot.index };
      self.tell(state.gateOf(context.layer, 'backward'), 'backward.run', { ...messagePlace(context), body });
    },
    // Rows come first: a bucket of megabytes in front of them would hold up the other ranks' experts.
    sendHeld: (_event, context) => state.release(context),
    backwardAttention: (_event, context) => {
      const { layer } = context;
      const { batch, context: ctx } = state.passOf(context);
      const calls = [
        ...(context.moeLayers.has(layer) ? [] : ffnBackward(ctx, layer)),
        ...attentionBackward(ctx, layer, batch),
      ];
      worker.chain(self, calls, 'attention.backwarded', messagePlace(context));
    },
    holdLayer: (_event, { layer, lastLayer }) => {
      if (layer === lastLayer) held.push(...finished.tail);
      held.push(...finished.layer(layer));
    },
    backwardEmbedding: (_event, context) => {
      const { batch, context: ctx } = state.passOf(context);
      self.submit(device, embedBackward(ctx, batch), 'embedding.backwarded', messagePlace(context));
    },
    holdEmbedding: () => {
      held.push(...finished.embedding);
    },
    sendGradient: (_event, context) => {
      const { previous } = state;
      assert(previous, 'a chunk without the embedding has one before it', { chunk: slot.chunk });
      const { act } = state.passOf(context).context;
      // The next backward pass of this worker uses the same buffer.
      const dHidden_TD = device.read(act.gradients.dHidden_TD).slice();
      self.tell(previous.stage, 'hidden.gradient', {
        ...messagePlace(context),
        body: { chunk: previous.chunk },
        tensors: { dHidden_TD },
      });
    },
    finishBackward: (_event, context) => {
      state.segments.leave(context);
      self.tell(state.stage, 'pass.backwarded', { ...messagePlace(context), body: { chunk: slot.chunk } });
    },
  };
}
