import { assert } from '@troupe/core';
import { backwardEffects, type ExpertGradients } from './backward.ts';
import type { ExpertSelf } from './events.ts';
import { forwardEffects } from './forward.ts';
import type { ExpertHost } from './host.ts';
import type { ExpertEffects } from './machine.ts';
import { ExpertState } from './state.ts';

/** The grouped FFN of one layer's experts here, over the rows of all sources. */
export function expertEffects(
  self: ExpertSelf,
  host: ExpertHost,
  layer: number,
  passGradients: (range: ExpertGradients) => void,
): ExpertEffects {
  const state = new ExpertState(self, host, layer);
  return {
    ...forwardEffects(self, state),
    ...backwardEffects(self, state, passGradients),
    want: (_event, context) => {
      const { carried } = state.buffers;
      assert(carried, 'who waits for a segment has a courier', { layer });
      const { courier, segment, isGathered, numSegments } = carried;
      const isForward = context.direction === 'forward';
      const next = isForward ? segment + 1 : segment - 1;
      const ahead = next >= 0 && next < numSegments ? { next } : {};
      const body = { segment, weights: isGathered, gradients: !isForward, ...ahead };
      self.tell(courier, 'segment.want', { ...state.place(context), body });
    },
    abandon: ({ attempt }) => {
      host.abandon(self, attempt);
      state.abandon();
    },
  };
}
