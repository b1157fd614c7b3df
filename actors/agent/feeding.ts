import { assert } from '@troupe/core';
import { addCounts, countsEqual } from '../token-tensors.ts';
import type { AgentSelf } from './events.ts';
import type { AgentEffects } from './machine.ts';
import type { AgentState } from './state.ts';

type FeedingEffects = Pick<AgentEffects, 'prefetch' | 'keepCount' | 'reportCount'>;

/** Sequences of a step are made ready before it opens, and counted. */
export function feedingEffects(self: AgentSelf, { crew, counts, trainer }: AgentState): FeedingEffects {
  return {
    prefetch: ({ step }) => {
      counts.set(step, new Map());
      for (const feeder of crew.feeders) self.tell(feeder, 'batch.prefetch', { step });
    },
    keepCount: ({ step, from, body }) => {
      const known = counts.get(step);
      const before = known?.get(from);
      assert(
        before === undefined || countsEqual(before, body),
        'a feeder that counts a step again counts the same (DAT-1)',
        { step, feeder: from },
      );
      known?.set(from, body);
    },
    reportCount: ({ step }) => {
      const counted = counts.get(step);
      assert(counted?.size === crew.feeders.length, 'a step is counted when all feeders have (AGT-2)', {
        step,
      });
      self.tell(trainer, 'machine.counted', { step, body: addCounts([...counted.values()]) });
    },
  };
}
