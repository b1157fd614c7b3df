import { assert } from '@troupe/core';
import type { ActorEvent } from './actor.ts';

/** A number that a message must carry. @throws {InvariantError} when it does not: the sender is one of ours, so it is a bug */
export function numberIn(event: ActorEvent, key: string): number {
  const value = event.body[key];
  assert(typeof value === 'number', `${event.type} carries the number ${key}`, { from: event.from });
  return value;
}

/** A text that a message must carry. @throws {InvariantError} when it does not */
export function textIn(event: ActorEvent, key: string): string {
  const value = event.body[key];
  assert(typeof value === 'string', `${event.type} carries the text ${key}`, { from: event.from });
  return value;
}

/** True when a message carries the flag. */
export const flagIn = (event: ActorEvent, key: string): boolean => event.body[key] === true;
