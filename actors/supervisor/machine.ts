import { always, ignore, of, on, type EffectsOf } from '@troupe/runtime';
import { assign, setup } from 'xstate';
import type { BrokenLink } from './broken-links.ts';
import { lossKinds, type SupervisorEvent } from './events.ts';

export interface SupervisorContext {
  readonly heartbeatMs: number;
  /** Set once: the first failure that ends the run is the one that is reported. */
  readonly ended: boolean;
  /** The workers of each machine that can be lost as one, by its agent. */
  readonly machines: ReadonlyMap<string, readonly string[]>;
  /** Life that each worker, and each of those agents, is in, or that has been asked for. */
  readonly lives: ReadonlyMap<string, number>;
  /** Workers whose next life has not joined yet. */
  readonly away: ReadonlySet<string>;
  /** Those of them whose life before did not join in time. */
  readonly missed: ReadonlySet<string>;
  /** Agents that are away, with the life that was lost first: their machines are waited for since then. */
  readonly waits: ReadonlyMap<string, number>;
  /** Those of them that were waited for long enough. */
  readonly overdue: ReadonlySet<string>;
  /** Links that did not come up, and are judged together. */
  readonly broken: readonly BrokenLink[];
  /** Losses of workers, and of connections, that are younger than the period; each ages by an event. */
  readonly losses: number;
  readonly breaks: number;
  /** How many of them are tolerated. */
  readonly mostLosses: number;
  readonly mostBreaks: number;
}

export type SupervisorInput = Pick<
  SupervisorContext,
  'heartbeatMs' | 'machines' | 'lives' | 'mostLosses' | 'mostBreaks'
>;

const without = (names: ReadonlySet<string>, name: string): ReadonlySet<string> =>
  new Set([...names].filter((each) => each !== name));

export const supervisorActions = {
  ignore,
  ping: always,
  remember: on('system.described', 'machine.described'),
  restart: on('worker.lost', 'machine.cut', 'join.due', 'ask.failed', 'actor.failed'),
  reopen: on('link.lost'),
  judgeSoon: on('link.unreached'),
  judgeLinks: always,
  welcome: on('worker.joined'),
  adopt: on('worker.joined'),
  reportLost: on(...lossKinds),
  reportStuck: always,
  reportFailed: on('actor.failed'),
  describeAwaited: on('worker.stuck'),
  reportOverdue: on('wait.over'),
} as const;

/** What carries them out. */
export type SupervisorEffects = EffectsOf<typeof supervisorActions, SupervisorContext, SupervisorEvent>;

/** The life of a worker that an event speaks of. */
const lifeIn = (event: SupervisorEvent): { readonly node: string; readonly incarnation: number } =>
  of(event, ...lossKinds, 'worker.joined').body;
const nodeIn = (event: SupervisorEvent): string => lifeIn(event).node;

/** What is lost with a node: of an agent all workers of its machine, which nothing outlives. */
const lostWith = ({ machines }: SupervisorContext, node: string): readonly string[] => [
  node,
  ...(machines.get(node) ?? []),
];

/** The life after the one that an event speaks of. */
const nextLife = assign<SupervisorContext, SupervisorEvent, undefined, SupervisorEvent, never>({
  lives: ({ context, event }) =>
    new Map([
      ...context.lives,
      ...lostWith(context, nodeIn(event)).map((node): [string, number] => [
        node,
        (node === nodeIn(event) ? lifeIn(event).incarnation : (context.lives.get(node) ?? 1)) + 1,
      ]),
    ]),
  away: ({ context, event }) => new Set([...context.away, ...lostWith(context, nodeIn(event))]),
  // Of a machine that is lost again before it is back the wait goes on.
  waits: ({ context: { waits, machines }, event }) => {
    const { node, incarnation } = lifeIn(event);
    return machines.has(node) && !waits.has(node) ? new Map([...waits, [node, incarnation] as const]) : waits;
  },
  losses: ({ context }) => context.losses + 1,
});
/** It lives, and was not asked for by this supervisor: the lead before did. */
const noteJoined = assign<SupervisorContext, SupervisorEvent, undefined, SupervisorEvent, never>({
  lives: ({ context, event }) =>
    new Map([...context.lives, [nodeIn(event), lifeIn(event).incarnation] as const]),
  away: ({ context, event }) => without(context.away, nodeIn(event)),
  missed: ({ context, event }) => without(context.missed, nodeIn(event)),
  waits: ({ context: { waits }, event }) => new Map([...waits].filter(([node]) => node !== nodeIn(event))),
  overdue: ({ context, event }) => without(context.overdue, nodeIn(event)),
});
const noteLives = assign<SupervisorContext, SupervisorEvent, undefined, SupervisorEvent, never>({
  lives: ({ context: { lives }, event }) => {
    const { body, tensors } = of(event, 'machine.lives');
    const known = body.nodes.map((node, at): [string, number] => [
      node,
      Math.max(lives.get(node) ?? 1, tensors.lives_N[at] ?? 1),
    ]);
    return new Map([...lives, ...known]);
  },
});
const noteMissed = assign<SupervisorContext, SupervisorEvent, undefined, SupervisorEvent, never>({
  missed: ({ context, event }) => new Set([...context.missed, nodeIn(event)]),
});
const noteOverdue = assign<SupervisorContext, SupervisorEvent, undefined, SupervisorEvent, never>({
  overdue: ({ context, event }) => new Set([...context.overdue, of(event, 'wait.over').body.node]),
});
const noteBroken = assign<SupervisorContext, SupervisorEvent, undefined, SupervisorEvent, never>({
  broken: ({ context, event }) => [...context.broken, of(event, 'link.unreached').body],
});
const countBreak = assign<SupervisorContext, SupervisorEvent, undefined, SupervisorEvent, never>({
  breaks: ({ context }) => context.breaks + 1,
});

/**
 * Liveness of the job. SUP-1: a lost worker is restarted under a higher incarnation while the limit of losses in a period allows; the
 * first failure beyond it ends the run with one sentence. SUP-2: a worker that does not answer within its deadline is lost, even when
 * its process still exists. SUP-3: a loss of a life that has been replaced is no news. SUP-4: a broken connection between two workers
 * that live has lost messages, so the attempt is restarted; also when the one at the other end has been replaced meanwhile, not while it is away. SUP-5: a
 * life that was asked for joins within its deadline, or is lost, once: the recovery has a deadline of its own. SUP-6: it asks agents, one
 * question a machine, and they their workers. SUP-8: a new supervisor learns the lives of nodes from agents; one that a lead before it
 * asked for, and that joins later, counts as a loss and its return. SUP-9: a machine is waited for from its first loss until it is back; whenever one was
 * waited for long enough, it is said which ones are away, and of which of them that is so. SUP-7: a lost agent is a lost machine, which is one loss: all workers there begin a new life.
 */
export const supervisorMachine = setup({
  types: {
    context: {} as SupervisorContext,
    events: {} as SupervisorEvent,
    input: {} as SupervisorInput,
  },
  actions: supervisorActions,
  guards: {
    isNeverRestarted: ({ context, event }) => !context.lives.has(nodeIn(event)),
    isStale: ({ context, event }) => lifeIn(event).incarnation < (context.lives.get(nodeIn(event)) ?? 0),
    /** At one of its ends is nobody any more: what was lost with it is begun again. */
    isOfAway: ({ context, event }) => {
      const { node, by } = of(event, 'link.lost', 'link.unreached').body;
      return context.away.has(node) || context.away.has(by);
    },
    hasJoined: ({ context, event }) =>
      !context.away.has(nodeIn(event)) || lifeIn(event).incarnation !== context.lives.get(nodeIn(event)),
    hasMissed: ({ context, event }) => context.missed.has(nodeIn(event)),
    isAwaited: ({ context, event }) =>
      context.away.has(nodeIn(event)) && lifeIn(event).incarnation >= (context.lives.get(nodeIn(event)) ?? 0),
    isUnknown: ({ context, event }) => {
      const known = context.lives.get(nodeIn(event));
      return known !== undefined && lifeIn(event).incarnation > known;
    },
    isBack: ({ context, event }) => {
      const { node, incarnation } = of(event, 'wait.over').body;
      return context.waits.get(node) !== incarnation;
    },
    isFirstBroken: ({ context }) => context.broken.length === 0,
    mayReopen: ({ context }) => context.breaks < context.mostBreaks,
    mayRestart: ({ context }) => context.losses < context.mostLosses,
    mayRestartFailed: ({ context, event }) =>
      of(event, 'actor.failed').body.retryable &&
      context.lives.has(nodeIn(event)) &&
      context.losses < context.mostLosses,
  },
  delays: { heartbeat: ({ context }) => context.heartbeatMs },
}).createMachine({
  id: 'supervisor',
  context: ({ input }) => ({
    ...input,
    ended: false,
    away: new Set<string>(),
    missed: new Set<string>(),
    waits: new Map<string, number>(),
    overdue: new Set<string>(),
    broken: [],
    losses: 0,
    breaks: 0,
  }),
  initial: 'watching',
  on: {
    // A worker that is gone meanwhile is reported by its loss.
    'message.refused': { actions: 'ignore' },
    'join.due': { actions: 'ignore' },
    'wait.over': { actions: 'ignore' },
    'links.due': { actions: 'ignore' },
    'machine.cut': { actions: 'ignore' },
    'link.unreached': { actions: 'ignore' },
    'machine.lives': { actions: noteLives },
    'loss.aged': { actions: assign({ losses: ({ context }) => context.losses - 1 }) },
    'break.aged': { actions: assign({ breaks: ({ context }) => context.breaks - 1 }) },
  },
  states: {
    watching: {
      entry: 'ping',
      after: { heartbeat: { target: 'watching', reenter: true } },
      on: {
        'machine.described': { actions: 'remember' },
        'system.described': { actions: 'remember' },
        'worker.lost': [
          { guard: 'isStale', actions: 'ignore' },
          { guard: 'mayRestart', actions: [nextLife, 'restart'] },
          { target: 'ended', actions: 'reportLost' },
        ],
        'machine.cut': [
          { guard: 'isStale', actions: 'ignore' },
          { guard: 'mayRestart', actions: [nextLife, 'restart'] },
          { target: 'ended', actions: 'reportLost' },
        ],
        // Nobody may hear of a life that ends, or stands still, before it has joined.
        'join.due': [
          { guard: 'hasJoined', actions: 'ignore' },
          // The second in a row: the deadline of the recovery ends the run, and names it.
          { guard: 'hasMissed', actions: 'ignore' },
          { guard: 'mayRestart', actions: [nextLife, noteMissed, 'restart'] },
          { target: 'ended', actions: 'reportLost' },
        ],
        'wait.over': [{ guard: 'isBack', actions: 'ignore' }, { actions: [noteOverdue, 'reportOverdue'] }],
        // A heartbeat without an answer.
        'ask.failed': [
          { guard: 'isStale', actions: 'ignore' },
          // The agent beside the store: nobody restarts it, and what waits for it has deadlines.
          { guard: 'isNeverRestarted', actions: 'ignore' },
          { guard: 'mayRestart', actions: [nextLife, 'restart'] },
          { target: 'ended', actions: 'reportLost' },
        ],
        'actor.failed': [
          { guard: 'isStale', actions: 'ignore' },
          { guard: 'mayRestartFailed', actions: [nextLife, 'restart'] },
          { target: 'ended', actions: 'reportFailed' },
        ],
        'link.lost': [
          { guard: 'isOfAway', actions: 'ignore' },
          { guard: 'mayReopen', actions: [countBreak, 'reopen'] },
          { target: 'ended', actions: 'reportLost' },
        ],
        'link.unreached': [
          { guard: 'isOfAway', actions: 'ignore' },
          { guard: 'isFirstBroken', actions: [noteBroken, 'judgeSoon'] },
          { actions: noteBroken },
        ],
        'links.due': { actions: ['judgeLinks', assign({ broken: [] })] },
        'worker.joined': [
          { guard: 'isAwaited', actions: [noteJoined, 'welcome'] },
          { guard: 'isUnknown', actions: [noteJoined, 'adopt'] },
          { actions: 'ignore' },
        ],
        'worker.stuck': { target: 'explaining', actions: 'describeAwaited' },
        'run.finished': { target: 'ended' },
      },
    },
    /** A wait expired: one last look at what the awaited actor does. */
    explaining: {
      on: {
        'system.described': { target: 'ended', actions: ['remember', 'reportStuck'] },
        'machine.described': { target: 'ended', actions: ['remember', 'reportStuck'] },
        'ask.failed': { target: 'ended', actions: 'reportStuck' },
        'worker.lost': { target: 'ended', actions: 'reportLost' },
        'actor.failed': { target: 'ended', actions: 'reportFailed' },
        'worker.stuck': { actions: 'ignore' },
        'worker.joined': { actions: 'ignore' },
        'link.lost': { actions: 'ignore' },
        'run.finished': { target: 'ended' },
      },
    },
    ended: {
      entry: assign({ ended: true }),
      on: {
        'system.described': { actions: 'ignore' },
        'machine.described': { actions: 'ignore' },
        'ask.failed': { actions: 'ignore' },
        'worker.lost': { actions: 'ignore' },
        'worker.stuck': { actions: 'ignore' },
        'worker.joined': { actions: 'ignore' },
        'link.lost': { actions: 'ignore' },
        'actor.failed': { actions: 'ignore' },
        'run.finished': { actions: 'ignore' },
      },
    },
  },
});
