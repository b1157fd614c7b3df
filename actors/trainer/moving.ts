import { ExpertSeats } from '@troupe/topology/layout';
import { assert } from '@troupe/core';
import type { TrainerSelf } from './events.ts';
import { dealExperts } from './expert-deal.ts';
import type { TrainerEffects } from './machine.ts';
import type { TrainerState } from './state.ts';

type MovingEffects = Pick<TrainerEffects, 'deal' | 'moveExperts' | 'seatExperts'>;

/** Hot experts move to other groups. */
export function movingEffects(self: TrainerSelf, state: TrainerState): MovingEffects {
  const { job, company } = state;
  return {
    deal: (_event, { attempt }) => {
      const deal = dealExperts(state.load_LE, state.seats);
      state.deal = deal === null ? null : { ...deal, atMs: self.clock.now() };
      if (deal === null) state.load_LE.fill(0);
      self.post('experts.dealt', { attempt, body: { moves: deal !== null } });
    },
    moveExperts: (_event, { attempt, step }) => {
      const { deal } = state;
      assert(deal, 'what moves was dealt', { step });
      const tensors = { groups_LE: deal.groups_LE };
      const { holding } = company.agents;
      for (const to of holding) self.tell(to, 'experts.move', { step, attempt, version: step, tensors });
      state.waitFor('move', {
        awaited: holding,
        reason: 'experts on their way to other groups',
        step,
        deadlineMs: job.deadlines.recoveryMs,
      });
    },
    seatExperts: () => {
      const { deal } = state;
      assert(deal, 'what moves was dealt');
      self.endWait('move');
      state.seats = new ExpertSeats(job.layout, deal.groups_LE);
      state.load_LE.fill(0);
      state.moved = deal;
    },
  };
}
