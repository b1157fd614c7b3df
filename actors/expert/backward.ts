import { assert } from '@troupe/core';
import { expertsBackward } from '@troupe/model';
import type { ExpertSelf } from './events.ts';
import type { ExpertContext, ExpertEffects } from './machine.ts';
import { callsOf, type OwnBackwardCall } from './rule.ts';
import type { ExpertState } from './state.ts';

type BackwardEffects = Pick<ExpertEffects, 'acceptGradients' | 'backward' | 'returnGradients'>;

/** Where the gradients of a group lie in the flat buffer, and which step they are of. */
export interface ExpertGradients {
  readonly from: number;
  readonly to: number;
  readonly step: number;
  readonly attempt: number;
  readonly microbatch: number;
  /** Of the step. */
  readonly isLast: boolean;
}

/** From the gradients of all sources to those of their rows and of the weights. */
export function backwardEffects(
  self: ExpertSelf,
  state: ExpertState,
  /** A pass has left all its gradients. */
  end: (context: ExpertContext) => void,
): BackwardEffects {
  const { host, sources, buffers } = state;
  const { device, expertGroup: rank } = host;
  return {
    acceptGradients: (event) => {
      const { source, chunk, last } = event.body;
      const place = { source, chunk };
      const { dOut_UD, rowWeights_N, dx_ND } = event.tensors;
      const pass = state.passOf(event);
      pass.isLast = last;
      const gradients = {
        gate: event.from,
        dOut: state.arrived(dOut_UD, (length) => pass.room.widened('backward', place, length)),
        rowWeights_N: device.upload(rowWeights_N),
        dx_ND: state.inputGradients(pass, place, dx_ND, pass.forward.at(place).slots_N.length),
      };
      pass.backward.put(place, gradients, event);
    },
    backward: (_event, context) => {
      const pass = state.passOf(context);
      const { chunk, microbatch } = context;
      const kept = pass.saved.get(chunk);
      assert(kept, 'a backward pass follows its forward pass', { step: context.step, chunk });
      const arrivals = pass.backward.all(chunk);
      const rows = pass.forward.all(chunk).reduce((sum, { slots_N }) => sum + slots_N.length, 0);
      const saved = state.savedBy(kept, rows);
      const made = buffers.segments.flatMap(({ weights, gradient }, held) => {
        const [shape, own] = [state.shapes[held], saved[held]];
        assert(shape && own, 'every segment has a shape and what its forward half left', { held });
        const ofSegment = arrivals.map(({ dOut, rowWeights_N, dx_ND }, source) => {
          const forward = pass.forward.at({ source, chunk });
          return {
            ...state.rowsOf(forward),
            dOut_UD: dOut.rows_UD,
            rowWeights_N,
            dx_ND: state.segmentOf(dx_ND, held, forward.slots_N.length),
          };
        });
        const target = gradient(microbatch, chunk);
        return expertsBackward(shape, weights(context.wanted), target, ofSegment, own);
      });
      const calls = state.callsOf(made, (expert, call) =>
        callsOf(expert, { backward: call as OwnBackwardCall }),
      );
      const results = arrivals.map(({ dx_ND }) => dx_ND);
      state.run(
        [
          ...state.widening(arrivals.map(({ dOut }) => dOut)),
          ...calls,
          ...state.rounding(pass, { direction: 'backward', chunk }, results),
        ],
        'experts.backwarded',
        context,
      );
    },
    returnGradients: (_event, context) => {
      const pass = state.passOf(context);
      const { chunk } = context;
      if (state.isLastChunk(context)) state.leaveSegment(context);
      sources.forEach(({ isBeside }, source) => {
        const { gate, dx_ND } = pass.backward.at({ source, chunk });
        const from = { direction: 'backward', source, chunk } as const;
        const tensors = isBeside ? {} : { dx_ND: state.travelling(pass, from, dx_ND) };
        self.tell(gate, 'gradients.return', { ...state.place(context), tensors, body: { rank, chunk } });
      });
      if (state.isLastChunk(context) && !host.defersMatrices) end(context);
    },
  };
}
