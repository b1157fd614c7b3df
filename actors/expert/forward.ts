import { assert } from '@troupe/core';
import { expertsForward } from '@troupe/model';
import type { ExpertSelf } from './events.ts';
import type { ExpertEffects } from './machine.ts';
import { callsOf, type OwnForwardCall } from './rule.ts';
import type { ExpertState } from './state.ts';

type ForwardEffects = Pick<ExpertEffects, 'acceptRows' | 'forward' | 'returnRows'>;

/** From the rows of all sources to their outputs. */
export function forwardEffects(self: ExpertSelf, state: ExpertState): ForwardEffects {
  const { host, sources, buffers } = state;
  const { device, expertGroup: rank } = host;
  return {
    acceptRows: (event) => {
      const { source, mode } = event.body;
      const { x_UD, slots_N, counts_EG, y_ND } = event.tensors;
      const pass = state.arrivingAt(event, mode);
      const rows = {
        gate: event.from,
        x: state.arrived(x_UD, (length) => pass.room.widened('forward', source, length)),
        slots_N: device.upload(slots_N),
        counts_EG: device.upload(counts_EG),
        y_ND: state.outputs(pass, source, y_ND, slots_N.length),
      };
      pass.forward.put(source, rows, event);
    },
    forward: (_event, context) => {
      const pass = state.passOf(context);
      const arrivals = pass.forward.all();
      const rows = arrivals.reduce((sum, { slots_N }) => sum + slots_N.length, 0);
      pass.saved = pass.mode === 'evaluate' ? null : pass.room.saved.take(state.savedLength(rows));
      const saved = pass.saved === null ? [] : state.savedBy(pass.saved, rows);
      const made = buffers.segments.flatMap(({ weights }, held) => {
        const shape = state.shapes[held];
        assert(shape, 'every segment has a shape', { held });
        const ofSegment = arrivals.map((arrival) => ({
          ...state.rowsOf(arrival),
          y_ND: state.segmentOf(arrival.y_ND, held, arrival.slots_N.length),
        }));
        return expertsForward(shape, weights(context.wanted), ofSegment, saved[held] ?? null);
      });
      const calls = state.callsOf(made, (expert, call) =>
        callsOf(expert, { forward: call as OwnForwardCall }),
      );
      const outputs = arrivals.map(({ y_ND }) => y_ND);
      state.run(
        [
          ...state.widening(arrivals.map(({ x }) => x)),
          ...calls,
          ...state.rounding(pass, 'forward', outputs),
        ],
        'experts.forwarded',
        context,
      );
    },
    returnRows: (_event, context) => {
      const pass = state.passOf(context);
      state.leaveSegment(context);
      sources.forEach(({ isBeside }, source) => {
        const { gate, y_ND } = pass.forward.at(source);
        const tensors = isBeside ? {} : { y_ND: state.travelling(pass, 'forward', source, y_ND) };
        self.tell(gate, 'rows.return', { ...state.place(context), tensors, body: { rank } });
      });
      // An evaluation has no backward pass: nothing of it is kept.
      if (pass.mode === 'evaluate') state.close(pass);
    },
  };
}
