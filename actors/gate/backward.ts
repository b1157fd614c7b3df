import {
  callsOf,
  combineBackward,
  expertGradientSource,
  gateBackward,
  packGradients,
  returnedGradients,
  travellingRows,
} from '@troupe/model';
import type { GateEffects } from './machine.ts';
import { gateOptions } from '../passes.ts';
import type { GateSelf } from './events.ts';
import type { GateState } from './state.ts';

type BackwardEffects = Pick<
  GateEffects,
  'weigh' | 'dispatchGradients' | 'acceptGradients' | 'backward' | 'finishBackward'
>;

/** From the gradient of the outputs to those of experts, and from the experts' back to tokens. */
export function backwardEffects(self: GateSelf, state: GateState): BackwardEffects {
  const { worker, layer, destinations, source } = state;
  const { device } = worker;
  return {
    weigh: (_event, context) => {
      const ctx = state.streamOf(context).context;
      const packing = state
        .chunksOf(context)
        .flatMap((chunk) =>
          destinations.flatMap(({ rank, isBeside }) => packGradients(chunk, { rank, travels: !isBeside })),
        );
      worker.chain(
        self,
        [...combineBackward(ctx, layer), ...packing],
        'gradients.packed',
        state.place(context),
      );
    },
    dispatchGradients: (_event, context) => {
      state.waitForExperts(context, 'gradients of its rows');
      for (const chunk of state.chunksOf(context)) {
        for (const { address, rank, isBeside } of destinations) {
          const { dOut_UD, rowWeights_N } = expertGradientSource(chunk, rank);
          const tensors = isBeside
            ? { dOut_UD, rowWeights_N, dx_ND: returnedGradients(chunk, rank).data }
            : {
                dOut_UD: device.read(travellingRows(chunk, rank, dOut_UD)),
                rowWeights_N: device.read(rowWeights_N),
              };
          self.tell(address, 'gradients.dispatch', {
            ...state.place(context),
            tensors,
            body: { source, chunk: chunk.index, last: context.last },
          });
        }
      }
      self.tell(state.asker(context), 'rows.left', state.place(context));
    },
    acceptGradients: ({ from, body, tensors }, context) => {
      const chunk = state.chunkOf(context, body.chunk);
      state.accept({ from, chunk }, tensors.dx_ND, returnedGradients(chunk, body.rank));
    },
    backward: (_event, context) => {
      self.endWait('experts');
      const { batch, context: ctx } = state.streamOf(context);
      const options = gateOptions(state.passOf(context), layer);
      const calls = [...state.widening(), ...gateBackward(ctx, layer, batch, options)];
      const { deferred } = state.passOf(context);
      const kept = callsOf(deferred?.defer([{ calls }]) ?? [{ calls }]);
      worker.chain(self, kept, 'gate.backwarded', state.place(context));
    },
    finishBackward: (_event, context) => {
      state.freeWidened();
      self.tell(state.asker(context), 'backward.done', state.place(context));
    },
  };
}
