import { assert } from '@troupe/core';
import { backwardEffects, type ExpertGradients } from './backward.ts';
import type { ExpertSelf } from './events.ts';
import { forwardEffects } from './forward.ts';
import type { ExpertHost } from './host.ts';
import type { ExpertContext, ExpertEffects } from './machine.ts';
import { matricesEffects } from './matrices.ts';
import { ExpertState } from './state.ts';

/** The grouped FFN of one layer's experts here, over the rows of all sources. */
export function expertEffects(
  self: ExpertSelf,
  host: ExpertHost,
  layer: number,
  /** The gradients of a microbatch are complete: hands them to who brings them to the shards that own their parameters. */
  passGradients: (range: ExpertGradients) => void,
): ExpertEffects {
  const state = new ExpertState(self, host, layer);
  const end = (context: ExpertContext): void => {
    const pass = state.passOf(context);
    state.close(pass);
    const { from, to } = state.buffers;
    const { step, attempt, microbatch } = context;
    passGradients({ from, to, step, attempt, microbatch, isLast: pass.isLast });
  };
  return {
    ...forwardEffects(self, state),
    ...backwardEffects(self, state, end),
    ...matricesEffects(self, state, end),
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
    abandon: ({ attempt, tensors }) => {
      host.abandon(self, attempt, tensors.groups_LE);
      state.abandon();
    },
  };
}
