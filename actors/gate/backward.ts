import {
  callsOf,
  combineBackward,
  expertGradientSource,
  gateBackward,
  packGradients,
  returnedGradients,
  returnedRows,
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
      const parts = destinations.map(({ rank }) => returnedRows(ctx, layer, rank));
      const calls = [
        ...combineBackward(ctx, layer, parts),
        ...destinations.flatMap(({ rank, isBeside }) =>
          packGradients(ctx, layer, { rank, travels: !isBeside }),
        ),
      ];
      worker.chain(self, calls, 'gradients.packed', state.place(context));
    },
    dispatchGradients: (_event, context) => {
      const ctx = state.passOf(context).context;
      state.waitForExperts(context, 'gradients of its rows');
      for (const { address, rank, isBeside } of destinations) {
        const { dOut_UD, rowWeights_N } = expertGradientSource(ctx, layer, rank);
        const tensors = isBeside
          ? { dOut_UD, rowWeights_N, dx_ND: returnedGradients(ctx, layer, rank).data }
          : {
              dOut_UD: device.read(travellingRows(ctx, layer, rank, dOut_UD)),
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
      const part = returnedGradients(state.passOf(context).context, layer, body.rank);
      state.accept(from, tensors.dx_ND, part);
    },
    backward: (_event, context) => {
      self.endWait('experts');
      const { batch, balance, context: ctx } = state.passOf(context);
      const parts = destinations.map(({ rank }) => returnedGradients(ctx, layer, rank));
      const options = gateOptions(balance, layer);
      const calls = [...state.widening(), ...gateBackward(ctx, layer, batch, parts, options)];
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
