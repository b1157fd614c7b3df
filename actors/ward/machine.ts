import { always, of, on, type EffectsOf } from '@troupe/runtime';
import { assign, setup } from 'xstate';
import { lengthOf } from '../gradients.ts';
import type { WardEvent } from './events.ts';
import { advance, noCopy, receivePart, type WardCopy } from './ward-copy.ts';

export interface WardContext {
  /** What is here of the shard's state. */
  readonly copy: WardCopy;
}

export interface WardInput {
  /** Elements of the shard's slice. */
  readonly size: number;
}

export const wardActions = {
  keepState: on('ward.state'),
  keepSum: on('ward.sum'),
  apply: on('commit.decide'),
  reportApplied: on('weights.applied'),
  setAside: always,
  takeUp: always,
  abandon: on('attempt.abandon'),
  reportAbandoned: on('attempt.abandon'),
  sendState: on('shard.send'),
  moveExperts: on('experts.move'),
  stageExperts: on('experts.state'),
} as const;

/** What carries them out. */
export type WardEffects = EffectsOf<typeof wardActions, WardContext, WardEvent>;

/**
 * The copy of a shard's state on another worker.
 *
 * BUD-1: it says that it holds a part when it does. BUD-2: it carries every decision out as the shard does, and the step is not over
 * before. BUD-3: a copy counts once all of its parts of one attempt are here. REC-1: an update that has begun is finished before it
 * leaves an attempt.
 */
export const wardMachine = setup({
  types: { context: {} as WardContext, events: {} as WardEvent, input: {} as WardInput },
  actions: {
    ...wardActions,
    countPart: assign({
      copy: ({ context, event }) =>
        receivePart(context.copy, {
          version: event.version,
          attempt: event.attempt,
          elements: lengthOf(of(event, 'ward.state').body),
        }),
    }),
  },
}).createMachine({
  id: 'ward',
  context: ({ input: { size } }) => ({ copy: noCopy(size) }),
  initial: 'keeping',
  states: {
    keeping: {
      entry: 'takeUp',
      on: {
        'ward.state': { actions: ['countPart', 'keepState'] },
        'ward.sum': { actions: 'keepSum' },
        'commit.decide': { target: 'applying', actions: 'apply' },
        'shard.send': { actions: 'sendState' },
        'experts.move': { actions: 'moveExperts' },
        'experts.state': { actions: 'stageExperts' },
        'attempt.abandon': { actions: ['abandon', 'reportAbandoned'] },
      },
    },
    applying: {
      on: {
        'weights.applied': {
          target: 'keeping',
          actions: [assign({ copy: ({ context }) => advance(context.copy) }), 'reportApplied'],
        },
        'attempt.abandon': { actions: 'setAside' },
      },
    },
  },
});
