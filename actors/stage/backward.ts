import { attentionBackward, embedBackward, ffnBackward } from '@troupe/model';
import { isMoeLayer } from '@troupe/spec';
import { addresses } from '@troupe/topology/layout';
import { slotOf } from '../pass.ts';
import type { StageEffects } from './machine.ts';
import type { StageSelf } from './events.ts';
import { messagePlace, type StageState } from './state.ts';

type BackwardEffects = Pick<
  StageEffects,
  'unroute' | 'backwardAttention' | 'sendLayer' | 'sendHeld' | 'backwardEmbedding' | 'sendEnds' | 'measure'
>;

/** From the loss of a pass to the gradients of the stage. */
export function backwardEffects(self: StageSelf, state: StageState): BackwardEffects {
  const { worker, passes, ranges, held } = state;
  const { model } = worker.job;
  return {
    unroute: (_event, context) => {
      const body = { last: state.isLastMicrobatch(context), slot: slotOf(context) };
      self.tell(state.gateOf(context.layer), 'backward.run', { ...messagePlace(context), body });
    },
    backwardAttention: (_event, context) => {
      const { layer } = context;
      const { batch, context: ctx } = state.passOf(context);
      const calls = [
        ...(isMoeLayer(model, layer) ? [] : ffnBackward(ctx, layer)),
        ...attentionBackward(ctx, layer, batch),
      ];
      worker.chain(self, calls, 'attention.backwarded', messagePlace(context));
    },
    sendLayer: (_event, context) => {
      if (!state.isLastMicrobatch(context)) return;
      if (context.layer === model.layers - 1) held.push(ranges.tail);
      held.push(ranges.layer(context.layer));
    },
    // Rows come first: a bucket of megabytes in front of them would hold up the other ranks' experts.
    sendHeld: (_event, context) => {
      for (const range of held.splice(0)) state.sendGradients(context, range);
    },
    backwardEmbedding: (_event, context) => {
      const { batch, context: ctx } = state.passOf(context);
      self.submit(worker.device, embedBackward(ctx, batch), 'embedding.backwarded', messagePlace(context));
    },
    sendEnds: (_event, context) => {
      for (const range of [...held.splice(0), ranges.embed]) state.sendGradients(context, range);
    },
    measure: (_event, context) => {
      const { lossSum, lossSums, counts_LE, probSums_LE } = passes.statistics('train').totals();
      const tensors = { lossSum, layerSums: lossSums, counts_LE, probSums: probSums_LE };
      // The optimizer's kernels of this step run after this and count for the next one.
      const body = { kernelMs: worker.meter.take() };
      self.tell(addresses.trainer, 'stage.measured', { ...messagePlace(context), tensors, body });
    },
  };
}
