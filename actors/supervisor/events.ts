import { field, ownEvent } from '@troupe/runtime';
import type { EventsOf, Self } from '../messages.ts';

/** A life of a worker. */
const life = { node: field.text, incarnation: field.number };
const own = {
  /** A heartbeat, or a last look at a node, found no answer. */
  'ask.failed': ownEvent({ body: life }),
  'join.due': ownEvent({ body: life }),
  /** An agent that was lost in this life was waited for as long as it may be. */
  'wait.over': ownEvent({ body: life }),
  /** Who else does not reach somebody has had time to say so. */
  'links.due': ownEvent(),
  /** A machine counts as lost since another one does not reach it. */
  'machine.cut': ownEvent({ body: { ...life, reason: field.text } }),
  'loss.aged': ownEvent(),
  'break.aged': ownEvent(),
} as const;

export type SupervisorEvent = EventsOf<'supervisor', typeof own>;
export type SupervisorSelf = Self<'supervisor', typeof own>;

/** By one of these a worker is lost, or its connection. */
export const lossKinds = [
  'worker.lost',
  'machine.cut',
  'join.due',
  'ask.failed',
  'actor.failed',
  'link.lost',
] as const;
export type LossEvent = Extract<SupervisorEvent, { readonly type: (typeof lossKinds)[number] }>;
