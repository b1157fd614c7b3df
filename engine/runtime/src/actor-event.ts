import type { Address, SerializedError } from '@troupe/core';
import type { Message, WireBody } from '@troupe/wire';
import type { ActorEvent, MessageFields } from './actor.ts';
import { arraysOf, tensorsOf, type Shape } from './message-shape.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Link = Pick<Message, 'correlation' | 'replyTo'>;

const noLink: Link = {};
const noBody: ActorEvent['body'] = Object.freeze({});
const noTensors: ActorEvent['tensors'] = Object.freeze({});

/** An event with what its maker left out filled in. Every event is made here: written out, since spreads cost more than the rest of it. */
export function actorEvent(
  type: string,
  from: Address,
  fields: MessageFields & { error?: SerializedError; correlation?: number },
  kernelMs?: number,
): ActorEvent {
  const event: Mutable<ActorEvent> = {
    type,
    from,
    step: fields.step ?? 0,
    attempt: fields.attempt ?? 0,
    version: fields.version ?? 0,
    layer: fields.layer ?? -1,
    microbatch: fields.microbatch ?? -1,
    body: fields.body ?? noBody,
    tensors: fields.tensors ?? noTensors,
  };
  const { error, correlation } = fields;
  if (error !== undefined) event.error = error;
  if (kernelMs !== undefined) event.kernelMs = kernelMs;
  if (correlation !== undefined) event.correlation = correlation;
  return event;
}

/** The event that a message is to its receiver. */
export function eventOf(message: Message, shape: Shape): ActorEvent {
  const event: Mutable<ActorEvent> = {
    type: message.kind,
    from: message.from,
    step: message.step,
    attempt: message.attempt,
    version: message.version,
    layer: message.layer ?? -1,
    microbatch: message.microbatch ?? -1,
    body: message.body,
    tensors: tensorsOf(shape, message.tensors),
  };
  if (message.correlation !== undefined) event.correlation = message.correlation;
  return event;
}

/** A message as the codec takes it; numbers that do not apply are undefined, so that all messages have one shape. */
export function messageOf(
  from: Address,
  to: Address,
  { kind, shape }: { readonly kind: string; readonly shape: Shape },
  fields: MessageFields,
  { correlation, replyTo }: Link = noLink,
): Message {
  const { layer = -1, microbatch = -1 } = fields;
  return {
    kind,
    from,
    to,
    step: fields.step ?? 0,
    attempt: fields.attempt ?? 0,
    version: fields.version ?? 0,
    layer: layer < 0 ? undefined : layer,
    microbatch: microbatch < 0 ? undefined : microbatch,
    correlation,
    replyTo,
    body: (fields.body ?? noBody) as WireBody,
    tensors: arraysOf(shape, fields.tensors),
  };
}
