import { assert } from '@troupe/core';
import {
  attentionBackward,
  ffnBackward,
  headBackward,
  headForward,
  layerAgain,
  moeBackward,
  unembedStreams,
} from '@troupe/model';
import { gateOptions, streamOfPass } from '../passes.ts';
import type { PassSelf } from './events.ts';
import type { PassEffects } from './machine.ts';
import { messagePlace } from './place.ts';
import type { PassState } from './state.ts';

type BackwardEffects = Pick<
  PassEffects,
  | 'backwardHead'
  | 'computeAgain'
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
  const { worker, slot, held, finished, steps } = state;
  const { device } = worker;
  return {
    backwardHead: (_event, context) => {
      const { targets, streams } = state.passOf(context);
      const { batch, context: ctx } = streams.decoder;
      const head = headForward(ctx, batch, { gradScale: 1 / targets });
      steps.run([...head, { calls: headBackward(ctx) }], 'head.finished', context);
    },
    computeAgain: (_event, context) => {
      const { batch, context: ctx } = streamOfPass(state.passOf(context), context.layer);
      steps.run(layerAgain(ctx, context.layer, batch), 'layer.again', context);
    },
    unroute: (_event, context) => {
      const body = { last: context.last, slot: slot.index };
      self.tell(state.gateOf(context.layer, 'backward'), 'backward.run', { ...messagePlace(context), body });
    },
    // Rows come first: a bucket of megabytes in front of them would hold up the other ranks' experts.
    sendHeld: (_event, context) => state.release(context),
    backwardAttention: (_event, context) => {
      const { layer } = context;
      const pass = state.passOf(context);
      const { batch, context: ctx } = streamOfPass(pass, layer);
      const ffn = context.moeLayers.has(layer)
        ? moeBackward(ctx, layer, batch, gateOptions(pass, layer))
        : ffnBackward(ctx, layer);
      const complete = { calls: state.parameters.complete(state.completedAt(context), context) };
      const isAgain = context.recomputes && !context.moeLayers.has(layer);
      const again = isAgain ? layerAgain(ctx, layer, batch) : [];
      const all = [...again, ...ffn, ...attentionBackward(ctx, layer, batch), complete];
      steps.run(state.backwardSteps(context, all), 'attention.backwarded', context);
    },
    holdLayer: (_event, { layer, lastLayer, defersMatrices }) => {
      if (defersMatrices) return;
      if (layer === lastLayer) held.push(...finished.tail);
      held.push(...finished.layer(layer));
    },
    backwardEmbedding: (_event, context) => {
      const { streams } = state.passOf(context);
      steps.run(unembedStreams(streams), 'embedding.backwarded', context, true);
    },
    holdEmbedding: (_event, { defersMatrices }) => {
      if (!defersMatrices) held.push(...finished.embedding);
    },
    sendGradient: (_event, context) => {
      const { previous } = state;
      assert(previous, 'a chunk without the embedding has one before it', { chunk: slot.chunk });
      const { decoder, encoder } = state.passOf(context).act.inputGradients;
      // The next backward pass of this worker uses the same buffers.
      const dHidden_TD = device.read(decoder).slice();
      const dSource_SD = encoder === null ? null : device.read(encoder).slice();
      self.tell(previous.stage, 'hidden.gradient', {
        ...messagePlace(context),
        body: { chunk: previous.chunk },
        tensors: { dHidden_TD, ...(dSource_SD === null ? {} : { dSource_SD }) },
      });
    },
    finishBackward: (_event, context) => {
      state.segments.leave(context);
      self.tell(state.stage, 'pass.backwarded', { ...messagePlace(context), body: { chunk: slot.chunk } });
    },
  };
}
