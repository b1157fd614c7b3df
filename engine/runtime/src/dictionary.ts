import { assert, type Address } from '@troupe/core';
import type { Message } from '@troupe/wire';
import type { ActorEvent, MessageFields } from './actor.ts';
import { eventOf, messageOf } from './actor-event.ts';
import { shapeProblem, type Shape, type Shapes } from './message-shape.ts';
import { systemMessages } from './system-messages.ts';

/** Of a kind that no catalogue has; it can carry no tensors, since these have no names. */
const unknownShape: Shape = { fenced: false, body: {}, tensors: {} };

/** Turns what actors say into messages, and messages into events, by the shapes of their kinds. */
export class Dictionary {
  readonly #shapes: ReadonlyMap<string, Shape>;

  constructor(messages: Shapes) {
    this.#shapes = new Map(Object.entries({ ...systemMessages, ...messages }));
  }

  messageOf(
    from: Address,
    to: Address,
    kind: string,
    fields: MessageFields,
    link?: Pick<Message, 'correlation' | 'replyTo'>,
  ): Message {
    const shape = this.#shapeOf(kind);
    assert(shape !== unknownShape || fields.tensors === undefined, `${kind} has no names for its tensors`, {
      from,
    });
    return messageOf(from, to, { kind, shape }, fields, link);
  }

  eventOf(message: Message): ActorEvent {
    return eventOf(message, this.#shapeOf(message.kind));
  }

  /** What is wrong with an event that came over a wire; null: it has the shape of its kind. */
  problem(event: ActorEvent): string | null {
    return shapeProblem(this.#shapeOf(event.type), event);
  }

  #shapeOf(kind: string): Shape {
    return this.#shapes.get(kind) ?? unknownShape;
  }
}

/** By catalogue: thousands of simulated nodes share one. */
const known = new WeakMap<Shapes, Dictionary>();

export function dictionaryOf(messages: Shapes): Dictionary {
  const dictionary = known.get(messages) ?? new Dictionary(messages);
  known.set(messages, dictionary);
  return dictionary;
}
