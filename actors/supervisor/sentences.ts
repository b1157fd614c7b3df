import type { NodeId } from '@troupe/core';
import type { LossEvent } from './events.ts';
import type { SupervisorContext } from './machine.ts';
import type { SupervisedMachine, SupervisorOptions } from './options.ts';

/** At most this many names in a sentence. */
const NAMES_SHOWN = 6;
const listed = (names: readonly string[]): string =>
  names.length <= NAMES_SHOWN
    ? names.join(', ')
    : `${names.slice(0, NAMES_SHOWN).join(', ')} and ${names.length - NAMES_SHOWN} more`;

const reasonOf = (event: LossEvent, { joinMs, silenceMs }: SupervisorOptions): string => {
  if (event.type === 'join.due') return `its next life did not join within ${joinMs / 1000} s`;
  if (event.type === 'ask.failed') return `no answer within ${silenceMs} ms`;
  if (event.type === 'actor.failed') return `${event.body.actor}: ${event.body.message}`;
  return event.body.reason;
};

/** A machine as people name it. */
export const machineName = ({ machine }: SupervisedMachine): string => `machine/${machine}`;

/** What was lost, why and when, in one sentence. */
export function lossSentence(event: LossEvent, options: SupervisorOptions): string {
  const node = event.body.node as NodeId;
  const machine = options.machines.get(node);
  const reason = reasonOf(event, options);
  if (machine !== undefined)
    return `${machineName(machine)} was lost (${node}: ${reason}) ${options.position()}; it had ${listed(machine.nodes)}`;
  const actors = options.workers.get(node)?.actors ?? [];
  return `${node} was lost (${reason}) ${options.position()}; it held ${listed(actors)}`;
}

/** How the limit was passed, in words; nothing where none was set. */
export function beyondLimit({ losses }: SupervisorContext, { limit }: SupervisorOptions): string {
  const { intensity, periodMs } = limit;
  return intensity === 0
    ? ''
    : `; that is loss ${losses + 1} within ${periodMs / 1000} s, ${intensity} tolerated`;
}
