import {
  combineForward,
  expertSource,
  gateForward,
  gateLogits,
  gateRest,
  packTokens,
  returnedRows,
  travellingRows,
} from '@troupe/model';
import type { GateEffects } from './machine.ts';
import type { GateSelf } from './events.ts';
import type { GateState } from './state.ts';

type ForwardEffects = Pick<
  GateEffects,
  'score' | 'route' | 'pack' | 'dispatch' | 'acceptRows' | 'combine' | 'finishForward'
>;

/** From tokens to the rows of experts, and from their outputs back to tokens. */
export function forwardEffects(self: GateSelf, state: GateState): ForwardEffects {
  const { worker, layer, destinations, source } = state;
  const { device, job } = worker;
  return {
    score: (_event, context) => {
      const calls = gateLogits(state.streamOf(context).context, layer);
      self.submit(device, calls, 'logits.computed', state.place(context));
    },
    route: (_event, context) => {
      const { batch, context: ctx } = state.streamOf(context);
      const routing = { ranks: destinations.length, choicesGiven: state.choices(context) };
      // The logits of a gate that looked at them are there already.
      const calls = (job.gate === undefined ? gateForward : gateRest)(ctx, layer, batch, routing);
      self.submit(device, calls, 'routing.planned', state.place(context));
    },
    pack: (_event, context) => {
      const calls = state
        .chunksOf(context)
        .flatMap((chunk) =>
          destinations.flatMap(({ rank, isBeside }) => packTokens(chunk, { rank, travels: !isBeside })),
        );
      self.submit(device, calls, 'tokens.packed', state.place(context));
    },
    dispatch: (_event, context) => {
      state.waitForExperts(context, 'outputs of its rows');
      // The first chunks of all ranks first: an expert begins when it has one of every source.
      for (const chunk of state.chunksOf(context)) {
        for (const { address, rank, isBeside } of destinations) {
          const { x_UD, slots_N, counts_EG } = expertSource(chunk, rank);
          const tensors = isBeside
            ? { x_UD, slots_N, counts_EG, y_ND: returnedRows(chunk, rank).data }
            : {
                x_UD: device.read(travellingRows(chunk, rank, x_UD)),
                slots_N: device.read(slots_N),
                counts_EG: device.read(counts_EG),
              };
          self.tell(address, 'rows.dispatch', {
            ...state.place(context),
            tensors,
            body: { source, chunk: chunk.index, mode: context.mode },
          });
        }
      }
    },
    acceptRows: ({ from, body, tensors }, context) => {
      const chunk = state.chunkOf(context, body.chunk);
      state.accept({ from, chunk }, tensors.y_ND, returnedRows(chunk, body.rank));
    },
    combine: (_event, context) => {
      self.endWait('experts');
      const ctx = state.streamOf(context).context;
      const calls = [...state.widening(), ...combineForward(ctx, layer)];
      worker.chain(self, calls, 'outputs.combined', state.place(context));
    },
    finishForward: (_event, context) => {
      state.freeWidened();
      self.tell(state.asker(context), 'forward.done', state.place(context));
    },
  };
}
