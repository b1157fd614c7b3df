import type { Address, SerializedError } from '@troupe/core';
import type { Message } from '@troupe/wire';
import type { ActorEvent, MessageFields } from './actor.ts';

/** An event with what its maker left out filled in. */
export function actorEvent(
  type: string,
  from: Address,
  fields: MessageFields & { error?: SerializedError; kernelMs?: number; correlation?: number },
): ActorEvent {
  const { error, kernelMs, correlation } = fields;
  return {
    type,
    from,
    step: fields.step ?? 0,
    attempt: fields.attempt ?? 0,
    version: fields.version ?? 0,
    layer: fields.layer ?? -1,
    microbatch: fields.microbatch ?? -1,
    body: fields.body ?? {},
    tensors: fields.tensors ?? [],
    ...(error === undefined ? {} : { error }),
    ...(kernelMs === undefined ? {} : { kernelMs }),
    ...(correlation === undefined ? {} : { correlation }),
  };
}

/** A message as the codec takes it; numbers that do not apply are left out. */
export function messageOf(
  from: Address,
  to: Address,
  kind: string,
  fields: MessageFields,
  link: { correlation?: number; replyTo?: number } = {},
): Message {
  return {
    kind,
    from,
    to,
    step: fields.step ?? 0,
    attempt: fields.attempt ?? 0,
    version: fields.version ?? 0,
    ...(fields.layer === undefined || fields.layer < 0 ? {} : { layer: fields.layer }),
    ...(fields.microbatch === undefined || fields.microbatch < 0 ? {} : { microbatch: fields.microbatch }),
    ...link,
    body: fields.body ?? {},
    tensors: fields.tensors ?? [],
  };
}
