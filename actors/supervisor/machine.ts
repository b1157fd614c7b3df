import { assign, setup } from 'xstate';
import type { SupervisorEvent } from './events.ts';

export interface SupervisorContext {
  readonly heartbeatMs: number;
  /** Set once: the first failure is the one that is reported. */
  readonly ended: boolean;
}

/**
 * Liveness of the job. SUP-1: the first failure ends the run with one sentence; recovery in place is not built yet.
 * SUP-2: a worker that does not answer within its deadline is lost, even when its process still exists.
 */
export const supervisorMachine = setup({
  types: {
    context: {} as SupervisorContext,
    events: {} as SupervisorEvent,
    input: {} as { heartbeatMs: number },
  },
  actions: {
    ignore: () => {},
    ping: () => {},
    remember: () => {},
    reportLost: () => {},
    reportSilent: () => {},
    reportStuck: () => {},
    reportFailed: () => {},
    describeAwaited: () => {},
  },
  delays: { heartbeat: ({ context }) => context.heartbeatMs },
}).createMachine({
  id: 'supervisor',
  context: ({ input }) => ({ heartbeatMs: input.heartbeatMs, ended: false }),
  initial: 'watching',
  states: {
    watching: {
      entry: 'ping',
      after: { heartbeat: { target: 'watching', reenter: true } },
      on: {
        'system.described': { actions: 'remember' },
        'ask.failed': { target: 'ended', actions: 'reportSilent' },
        'worker.lost': { target: 'ended', actions: 'reportLost' },
        'worker.stuck': { target: 'explaining', actions: 'describeAwaited' },
        'actor.failed': { target: 'ended', actions: 'reportFailed' },
        'run.finished': { target: 'ended' },
      },
    },
    /** A wait expired: one last look at what the awaited actor does. */
    explaining: {
      on: {
        'system.described': { target: 'ended', actions: ['remember', 'reportStuck'] },
        'ask.failed': { target: 'ended', actions: 'reportStuck' },
        'worker.lost': { target: 'ended', actions: 'reportLost' },
        'actor.failed': { target: 'ended', actions: 'reportFailed' },
        'worker.stuck': { actions: 'ignore' },
        'run.finished': { target: 'ended' },
      },
    },
    ended: {
      entry: assign({ ended: true }),
      on: {
        'system.described': { actions: 'ignore' },
        'ask.failed': { actions: 'ignore' },
        'worker.lost': { actions: 'ignore' },
        'worker.stuck': { actions: 'ignore' },
        'actor.failed': { actions: 'ignore' },
        'run.finished': { actions: 'ignore' },
      },
    },
  },
});
