import { address } from '@troupe/core';
import {
  PureMachine,
  type ActorEvent,
  type CollectedAction,
  type MachineSnapshot,
  type TransitionResult,
} from '@troupe/runtime';
import type { AnyStateMachine } from 'xstate';

export { leafStates } from '../states.ts';

type EventFields = Partial<Omit<ActorEvent, 'type'>>;

const actorEvent = (type: string, fields: EventFields = {}): ActorEvent => ({
  type,
  from: address('test'),
  step: 0,
  attempt: 1,
  version: 0,
  layer: -1,
  microbatch: 0,
  body: {},
  tensors: {},
  ...fields,
});

/** One life of a statechart, played event by event without a system: what it answers is a list of actions. */
export class Play {
  readonly #machine: PureMachine;
  readonly #visited: Set<string>;
  readonly armed: string[] = [];
  #snapshot: MachineSnapshot;
  /** Actions of the first transition. */
  readonly first: readonly string[];

  /** @param visited - states that earlier plays of the same machine came to */
  constructor(machine: AnyStateMachine, input?: unknown, visited = new Set<string>()) {
    this.#machine = new PureMachine(machine);
    this.#visited = visited;
    const result = this.#machine.initial(input);
    this.#snapshot = result.snapshot;
    this.first = this.#take(result);
  }

  get state(): string {
    return this.#snapshot.state;
  }

  get context(): Readonly<Record<string, unknown>> {
    return this.#snapshot.context as Readonly<Record<string, unknown>>;
  }

  accepts(type: string, fields: EventFields = {}): boolean {
    return this.#snapshot.can(actorEvent(type, fields));
  }

  /** Sends an event that the present state must accept, and returns the names of the actions in order. */
  send(type: string, fields: EventFields = {}): readonly string[] {
    const event = actorEvent(type, fields);
    const result = this.#machine.transition(this.#snapshot, event);
    if (result === null) throw new Error(`${type} is not accepted in ${this.state}`);
    this.#snapshot = result.snapshot;
    return this.#take(result);
  }

  #take(result: TransitionResult): readonly string[] {
    this.#visited.add(this.state);
    this.armed.push(...result.armed.map(({ event, delayMs }) => `${event.type} after ${delayMs}`));
    return result.actions.map(({ type }: CollectedAction) => type).filter((type) => type !== 'ignore');
  }
}

/** Those of `types` that the present state accepts, with the same fields for all. */
export const acceptedOf = (
  play: Play,
  types: readonly string[],
  fields: EventFields = {},
): readonly string[] => types.filter((type) => play.accepts(type, fields));
