import { mountOf, type Mount } from '@troupe/runtime';
import { supervisorEffects } from './effects.ts';
import type { SupervisorSelf } from './events.ts';
import { supervisorMachine, type SupervisorInput } from './machine.ts';
import type { SupervisorOptions } from './options.ts';
import { Timers } from './timers.ts';

export type { AwayMachine, RunFailure, SupervisorOptions } from './options.ts';

/** The one supervisor of a job. */
export function mountSupervisor(options: SupervisorOptions): Mount {
  const { intensity } = options.limit;
  const restarted = new Map(
    [...options.machines].filter(
      ([, { machine }]) => options.restartsAgents && (machine > 0 || options.restartsFirstAgent === true),
    ),
  );
  const input: SupervisorInput = {
    heartbeatMs: options.heartbeatMs,
    lives: new Map(
      [...restarted.keys(), ...options.workers.keys()].map((node): [string, number] => [node, 1]),
    ),
    machines: new Map(
      [...restarted].map(([agent, { nodes }]): [string, readonly string[]] => [agent, nodes]),
    ),
    mostLosses: intensity,
    // One loss can break a connection of every other worker.
    mostBreaks: intensity * options.workers.size,
  };
  return mountOf((self: SupervisorSelf) => {
    const timers = new Timers(self.clock);
    return {
      machine: supervisorMachine,
      input,
      effects: supervisorEffects(self, options, timers),
      dispose: () => timers.cancelAll(),
    };
  });
}
