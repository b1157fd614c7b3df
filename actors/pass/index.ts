import { assert } from '@troupe/core';
import { isWhole, wholeShare } from '@troupe/model';
import { mountOf, type Mount } from '@troupe/runtime';
import { backwardEffects } from './backward.ts';
import { fencedByPass, type PassSelf } from './events.ts';
import { forwardEffects } from './forward.ts';
import { matricesEffects } from './matrices.ts';
import { passMachine, type PassEffects, type PassInput } from './machine.ts';
import type { PassParts } from './pass-parts.ts';
import { PassState } from './state.ts';

function passEffects(self: PassSelf, parts: PassParts): PassEffects {
  const state = new PassState(self, parts);
  return {
    ...forwardEffects(self, state),
    ...backwardEffects(self, state),
    want: (_event, context) => state.segments.want(context),
    takeSegment: (_event, context) => state.segments.take(context),
    ...matricesEffects(self, state),
    abandon: ({ attempt }) => {
      state.worker.enter(attempt);
      state.held.length = 0;
      state.segments.abandon();
      state.steps.abandon();
    },
  };
}

/** What computes the passes of one slot. */
export function mountPass(parts: PassParts): Mount {
  const { worker, slot, passes } = parts;
  const { blocks, hasEmbedding, hasHead } = slot.plan;
  const [firstLayer, lastLayer] = [blocks[0], blocks.at(-1)];
  assert(firstLayer !== undefined && lastLayer !== undefined, 'a chunk has layers', { slot: slot.index });
  const { layout } = worker.job;
  const input: PassInput = {
    firstLayer,
    lastLayer,
    moeLayers: new Set(worker.layers),
    expertLayers: blocks.filter(
      (layer) =>
        layout.expertPlaceOf(worker.rank) !== null &&
        worker.layers.includes(layer) &&
        layout.expertsFor(layer, worker.rank).includes(layout.expertOf(layer, worker.rank)),
    ),
    recomputes: worker.job.recompute === 'layer',
    defersMatrices: layout.defersMatrices,
    hasEmbedding,
    hasHead,
    evaluates: slot.mode === 'evaluate',
    waits: parts.parameters.groups.some(({ group }) => worker.job.layout.hasCourier(group)),
    isDivided: !isWhole(passes.shape.tensor ?? wholeShare),
  };
  return mountOf((self: PassSelf) => ({
    machine: passMachine,
    input,
    effects: passEffects(self, parts),
    ...worker.fence(fencedByPass),
  }));
}
