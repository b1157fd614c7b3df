import type { ActorEvent } from './actor.ts';

/**
 * An action of a machine that touches ports. Machines name it; the effects of an actor, which have exactly these names, carry it out.
 *
 * `kinds`: the events on which it may be due; null: any of the machine's.
 */
export interface Action<K extends string = string> {
  (): void;
  readonly kinds: readonly K[] | null;
}

function action<K extends string>(kinds: readonly K[] | null): Action<K> {
  return Object.assign(() => {}, { kinds });
}

/** Of an action that is due on one of these kinds of events alone. */
export const on = <const K extends string>(...kinds: readonly K[]): Action<K> => action(kinds);

/** Of an action that does not look at its event, or that several kinds have in common. */
export const always: Action = action(null);

/** Of an event that is taken and changes nothing: a machine needs to say that it does not refuse it. */
export const ignore: Action = action(null);

/** The events among `Event` on which an action is due. */
type EventOn<A, Event extends ActorEvent> =
  A extends Action<infer K> ? (string extends K ? Event : Extract<Event, { readonly type: K }>) : never;

/** What carries out the actions of a machine: one function an action, `ignore` aside, and none besides. */
export type EffectsOf<Actions, Context, Event extends ActorEvent> = {
  readonly [N in Exclude<keyof Actions, 'ignore'> as Actions[N] extends Action ? N : never]: (
    event: EventOn<Actions[N], Event>,
    context: Context,
  ) => void;
};

/**
 * An event as one of the kind that a transition is about, where a named guard or assignment sees the union of all.
 *
 * @throws {TypeError} when it is another: the machine uses the guard on the wrong transition
 */
export function of<E extends ActorEvent, K extends E['type']>(
  event: E,
  ...kinds: readonly K[]
): Extract<E, { readonly type: K }> {
  if (!kinds.includes(event.type as K))
    throw new TypeError(`${event.type} is not one of ${kinds.join(', ')}`);
  return event as Extract<E, { readonly type: K }>;
}
