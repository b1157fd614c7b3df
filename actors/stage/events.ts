import { fencedKinds } from '@troupe/runtime';
import { messages, type EventsOf, type Self } from '../messages.ts';

const own = {} as const;

export type StageEvent = EventsOf<'stage', typeof own>;
export type StageSelf = Self<'stage', typeof own>;

/** What may still come from an attempt that is over. Tokens are the same in every attempt. */
export const fencedByStage = fencedKinds(messages, 'stage', own);
