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
      const { source, chunk, mode } = event.body;
      const place = { source, chunk };
      const { x_UD, slots_N, counts_EG, y_ND } = event.tensors;
      const pass = state.arrivingAt(event, mode);
      const rows = {
        gate: event.from,
        x: state.arrived(x_UD, (length) => pass.room.widened('forward', place, length)),
        slots_N: device.upload(slots_N),
        counts_EG: device.upload(counts_EG),
        y_ND: state.outputs(pass, place, y_ND, slots_N.length),
      };
      pass.forward.put(place, rows, event);
    },
    forward: (_event, context) => {
      const pass = state.passOf(context);
      const { chunk } = context;
      const arrivals = pass.forward.all(chunk);
      const rows = arrivals.reduce((sum, { slots_N }) => sum + slots_N.length, 0);
      const kept = pass.mode === 'evaluate' ? null : pass.room.saved(chunk, state.savedLength(rows));
      if (kept !== null) pass.saved.set(chunk, kept);
      const saved = kept === null ? [] : state.savedBy(kept, rows);
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
          ...state.rounding(pass, { direction: 'forward', chunk }, outputs),
        ],
        'experts.forwarded',
        context,
      );
    },
    returnRows: (_event, context) => {
      const pass = state.passOf(context);
      const { chunk } = context;
      if (state.isLastChunk(context)) state.leaveSegment(context);
      sources.forEach(({ isBeside }, source) => {
        const { gate, y_ND } = pass.forward.at({ source, chunk });
        const from = { direction: 'forward', source, chunk } as const;
        const tensors = isBeside ? {} : { y_ND: state.travelling(pass, from, y_ND) };
        self.tell(gate, 'rows.return', { ...state.place(context), tensors, body: { rank, chunk } });
      });
      // An evaluation has no backward pass: nothing of it is kept.
      if (pass.mode === 'evaluate' && state.isLastChunk(context)) state.close(pass);
    },
  };
}
