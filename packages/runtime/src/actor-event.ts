import type { Address, SerializedError } from '@troupe/core';
import type { Message } from '@troupe/wire';
import type { ActorEvent, MessageFields } from './actor.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const noBody: ActorEvent['body'] = Object.freeze({});
const noTensors: ActorEvent['tensors'] = Object.freeze([]);

/** An event with what its maker left out filled in. Every event is made here: written out, since spreads cost more than the rest of it. */
export function actorEvent(
  type: string,
  from: Address,
  fields: MessageFields & { error?: SerializedError; kernelMs?: number; correlation?: number },
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
  const { error, kernelMs, correlation } = fields;
  if (error !== undefined) event.error = error;
  if (kernelMs !== undefined) event.kernelMs = kernelMs;
  if (correlation !== undefined) event.correlation = correlation;
  return event;
}

/** A message as the codec takes it; numbers that do not apply are left out. */
export function messageOf(
  from: Address,
  to: Address,
  kind: string,
  fields: MessageFields,
  link: { correlation?: number; replyTo?: number } = {},
): Message {
  const message: Mutable<Message> = {
    kind,
    from,
    to,
    step: fields.step ?? 0,
    attempt: fields.attempt ?? 0,
    version: fields.version ?? 0,
    body: fields.body ?? noBody,
    tensors: fields.tensors ?? noTensors,
  };
  const { layer, microbatch } = fields;
  const { correlation, replyTo } = link;
  if (layer !== undefined && layer >= 0) message.layer = layer;
  if (microbatch !== undefined && microbatch >= 0) message.microbatch = microbatch;
  if (correlation !== undefined) message.correlation = correlation;
  if (replyTo !== undefined) message.replyTo = replyTo;
  return message;
}
