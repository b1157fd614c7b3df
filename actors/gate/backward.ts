import {
  callsOf,
  chunkOf,
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
      const ctx = state.passOf(context).context;
      const chunk = chunkOf(ctx, layer, 0);
      const calls = [
        ...combineBackward(ctx, layer),
        ...destinations.flatMap(({ rank, isBeside }) => packGradients(chunk, { rank, travels: !isBeside })),
      ];
      worker.chain(self, calls, 'gradients.packed', state.place(context));
    },
    dispatchGradients: (_event, context) => {
      const chunk = chunkOf(state.passOf(context).context, layer, 0);
      state.waitForExperts(context, 'gradients of its rows');
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
          body: { source, last: context.last },
        });
      }
      self.tell(state.asker(context), 'rows.left', state.place(context));
    },
    acceptGradients: ({ from, body, tensors }, context) => {
      const part = returnedGradients(chunkOf(state.passOf(context).context, layer, 0), body.rank);
      state.accept(from, tensors.dx_ND, part);
    },
    backward: (_event, context) => {
      self.endWait('experts');
      const { batch, balance, context: ctx } = state.passOf(context);
      const options = gateOptions(balance, layer);
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
