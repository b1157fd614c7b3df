import type { NodeId } from '@troupe/core';
import type { LossEvent } from './events.ts';
import type { SupervisorContext } from './machine.ts';
import type { SupervisorOptions } from './options.ts';

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

/** What was lost, why and when, in one sentence. */
export function lossSentence(event: LossEvent, options: SupervisorOptions): string {
  const { node } = event.body;
  const actors = options.workers.get(node as NodeId)?.actors ?? [];
  return `${node} was lost (${reasonOf(event, options)}) ${options.position()}; it held ${listed(actors)}`;
}

/** How the limit was passed, in words; nothing where none was set. */
export function beyondLimit({ losses }: SupervisorContext, { limit }: SupervisorOptions): string {
  const { intensity, periodMs } = limit;
  return intensity === 0
    ? ''
    : `; that is loss ${losses + 1} within ${periodMs / 1000} s, ${intensity} tolerated`;
}
