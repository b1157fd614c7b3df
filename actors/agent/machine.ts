import type { Address } from '@troupe/core';
import { isSameClaim, promise, type Claim } from '@troupe/journal';
import { always, ignore, of, on, type EffectsOf } from '@troupe/runtime';
import { assign, setup } from 'xstate';
import { holdersOf, leaversOf, type Crew, type Member } from '../crew.ts';
import { Pending } from '../pending.ts';
import { addVote, noVotes, type Votes } from '../votes.ts';
import type { AgentEvent } from './events.ts';

export interface AgentContext {
  /** Who lives on the machine. */
  readonly crew: Crew;
  /** The newest attempt that the agent has heard of; it tells and hears nothing of an older one. */
  readonly attempt: number;
  /** Step that is open, or was last. */
  readonly step: number;
  /** Who has not answered yet in the present phase: in a step, shards that have not voted. */
  readonly awaited: Pending<Address>;
  /** In a step, stages that have not measured, and those that have not shared their choices. */
  readonly unmeasured: Pending<Address>;
  readonly unshared: Pending<Address>;
  /** Feeders that have yet to count a step that they were asked for. */
  readonly uncounted: ReadonlyMap<number, Pending<Address>>;
  /** Votes of the present attempt. */
  readonly votes: Votes;
  /** What shards, and copies of shards, hold when an attempt has been abandoned. */
  readonly versions: ReadonlyMap<Address, number>;
  /** The last decision that was passed on: step and attempt. */
  readonly decided: string;
  /** That decision when all of the machine have carried it out. */
  readonly applied: string;
  /** The records that the last two decisions came with, the newest last. */
  readonly records: readonly string[];
  /** The lead that is followed: one of a later epoch replaces it (LED-2). Null: the first, which asks nobody. */
  readonly promised: Claim | null;
  /** Life of each node that has joined since the run began; of the others it is the first. */
  readonly lives: ReadonlyMap<string, number>;
}

export interface AgentInput extends Pick<AgentContext, 'crew'> {
  /** It takes the place of a lost one: its workers join one by one, into an attempt that it is told. */
  readonly joins: boolean;
}

export const agentActions = {
  ignore,
  awaitLoading: always,
  reportLoaded: always,
  prefetch: on('batch.prefetch'),
  keepCount: on('batch.counted'),
  reportCount: on('batch.counted'),
  countKernels: on('experts.measured'),
  openStep: on('step.open'),
  recordVote: on('gradient.vote'),
  reportVotes: on('gradient.vote'),
  recordMeasure: on('stage.measured'),
  reportMeasures: on('stage.measured'),
  recordShare: on('balance.share'),
  reportShares: on('balance.share'),
  passBalance: on('balance.shared'),
  endStep: always,
  decide: on('commit.decide'),
  forget: on('commit.forget'),
  heardApplied: on('commit.applied'),
  reportApplied: always,
  openEvaluation: on('evaluation.open'),
  recordEvaluation: on('stage.evaluated'),
  reportEvaluation: always,
  openQuestion: on('generation.open'),
  recordLogits: on('generation.logits'),
  reportAnswer: always,
  moveExperts: on('experts.move'),
  heardStaged: on('experts.staged'),
  reportStaged: always,
  takeSnapshot: on('snapshot.take'),
  leave: on('attempt.leave'),
  join: on('attempt.join'),
  heardAbandoned: on('attempt.abandoned'),
  reportAbandoned: always,
  keep: on('shard.keep'),
  send: on('shard.send'),
  restore: on('shard.restore'),
  heardLoaded: on('shard.loaded'),
  describe: on('machine.describe'),
  remember: on('system.described'),
  reportSilence: on('ask.failed'),
  passJoined: on('worker.joined'),
  passLink: on('link.lost'),
  passUnreached: on('link.unreached'),
  passStuck: on('worker.stuck'),
  passFailure: on('actor.failed'),
  holdForLead: on('lead.asks'),
  refuseLead: on('lead.asks'),
  restartLead: on('lead.lost', 'lead.silent'),
} as const;

/** What carries them out. */
export type AgentEffects = EffectsOf<typeof agentActions, AgentContext, AgentEvent>;

const addressesOf = (members: readonly Member[]): readonly Address[] => members.map(({ address }) => address);
const nobody = Pending.of<Address>([]);

const decisionOf = ({ step, attempt }: Pick<AgentEvent, 'step' | 'attempt'>): string => `${step}/${attempt}`;

/** As many as a lead can be behind: one that was recorded and not carried out, and the one before. */
const MOST_RECORDS = 2;

const claimIn = (event: AgentEvent): Claim => {
  const { epoch, process: incarnation } = of(event, 'lead.asks').body;
  return { epoch, incarnation };
};

/** Without the sender of the event. */
const heardFrom = (name: 'awaited' | 'unmeasured' | 'unshared') =>
  assign<AgentContext, AgentEvent, undefined, AgentEvent, never>({
    [name]: ({ context, event }: { context: AgentContext; event: AgentEvent }) =>
      context[name].without(event.from),
  });
const isLastOf = (who: Pending<Address> | undefined, { from }: AgentEvent): boolean =>
  who !== undefined && who.size === 1 && who.has(from);

/**
 * What speaks for a machine: it passes on to the actors that live there what the trainer says to all, and adds up what they answer.
 *
 * AGT-1: whom it waits for follows from the layout, the machine, and, while a decision is carried out or an attempt is left, from what the
 * trainer says is lost. AGT-2: the trainer hears one message of each kind, when the last of the machine has answered, and sums are those of
 * the actors, to the bit. AGT-3: it is in one attempt, as everybody is: of an older one it neither passes on nor counts anything, and a
 * new one is begun with nothing counted. AGT-4: the wait for its actors is its own, and shorter than the trainer's for it, so that the
 * sentence of a run that stands still names an actor. TKO-2: it keeps the records of the last two decisions; to a lead that takes over it
 * says what it holds once it has promised its epoch, and an older one it refuses.
 */
export const agentMachine = setup({
  types: { context: {} as AgentContext, events: {} as AgentEvent, input: {} as AgentInput },
  actions: {
    ...agentActions,
    answered: heardFrom('awaited'),
    measured: heardFrom('unmeasured'),
    shared: heardFrom('unshared'),
    counted: assign({
      uncounted: ({ context: { uncounted }, event }) => {
        const waiting = uncounted.get(event.step);
        return waiting === undefined
          ? uncounted
          : new Map([...uncounted, [event.step, waiting.without(event.from)]]);
      },
    }),
    countVote: assign({
      votes: ({ context, event }) => {
        const { tensors, body } = of(event, 'gradient.vote');
        return addVote(context.votes, tensors.norm128, body.overflow);
      },
    }),
    noteVersion: assign({
      versions: ({ context, event }) =>
        of(event, 'attempt.abandoned').body.loaded
          ? new Map([...context.versions, [event.from, event.version]])
          : context.versions,
    }),
    enter: assign({
      attempt: ({ context: { attempt }, event }) =>
        attempt === Number.POSITIVE_INFINITY ? event.attempt : Math.max(attempt, event.attempt),
    }),
    noteLife: assign({
      lives: ({ context, event }) => {
        const { node, incarnation } = of(event, 'worker.joined').body;
        return new Map([...context.lives, [node, incarnation]]);
      },
    }),
    awaitFeeders: assign({
      uncounted: ({ context: { uncounted, crew }, event }) =>
        new Map([...uncounted, [event.step, Pending.of(crew.feeders)]]),
    }),
    awaitStep: assign(({ context: { crew, uncounted }, event }) => ({
      step: event.step,
      votes: noVotes,
      awaited: Pending.of(addressesOf(crew.shards)),
      unmeasured: Pending.of(addressesOf(crew.stages)),
      unshared: Pending.of(addressesOf(crew.stages)),
      uncounted: new Map([...uncounted].filter(([step]) => step > event.step)),
    })),
    awaitStages: assign({
      step: ({ event }) => event.step,
      awaited: ({ context }) => Pending.of(addressesOf(context.crew.stages)),
    }),
    awaitShards: assign({ awaited: ({ context }) => Pending.of(addressesOf(context.crew.shards)) }),
    noteDecision: assign({
      decided: ({ event }) => decisionOf(event),
      records: ({ context: { records }, event }) => {
        const { record } = of(event, 'commit.decide').body;
        return record === undefined ? records : [...records, record].slice(-MOST_RECORDS);
      },
    }),
    noteApplied: assign({ applied: ({ context }) => context.decided }),
    follow: assign({ promised: ({ context, event }) => promise(context.promised, claimIn(event)) }),
    /** Shards, and the copies of shards: all that carries out a decision. */
    awaitHolders: assign({
      step: ({ event }) => event.step,
      awaited: ({ context }) => Pending.of(addressesOf(holdersOf(context.crew))),
    }),
    awaitLeavers: assign({
      versions: new Map<Address, number>(),
      awaited: ({ context }) => Pending.of(addressesOf(leaversOf(context.crew))),
    }),
    /** What was on a lost worker carries nothing out any more. */
    forgetLost: assign({
      awaited: ({ context: { awaited, crew }, event }) =>
        Pending.of(
          addressesOf(
            holdersOf(crew).filter(
              ({ address, worker }) =>
                awaited.has(address) && worker !== of(event, 'commit.forget').body.worker,
            ),
          ),
        ),
    }),
  },
  guards: {
    joins: ({ context }) => context.attempt === Number.POSITIVE_INFINITY,
    settled: ({ context }) => context.awaited.size === 0,
    stepSettled: ({ context }) => context.awaited.size === 0 && context.unmeasured.size === 0,
    followsAnother: ({ context, event }) => {
      const asked = claimIn(event);
      return !isSameClaim(promise(context.promised, asked), asked);
    },
    isCarriedOut: ({ context, event }) => context.decided === decisionOf(event),
    isLastVote: ({ context, event }) => isLastOf(context.awaited, event),
    isLastMeasure: ({ context, event }) => isLastOf(context.unmeasured, event),
    isLastShare: ({ context, event }) => isLastOf(context.unshared, event),
    isLastCount: ({ context, event }) => isLastOf(context.uncounted.get(event.step), event),
  },
}).createMachine({
  id: 'agent',
  context: ({ input: { crew, joins } }) => ({
    crew,
    // One that joins takes nothing up before it is told which attempt all are in.
    attempt: joins ? Number.POSITIVE_INFINITY : 1,
    lives: new Map<string, number>(),
    decided: '',
    applied: '',
    records: [],
    promised: null,
    step: 0,
    awaited: nobody,
    unmeasured: nobody,
    unshared: nobody,
    uncounted: new Map<number, Pending<Address>>(),
    votes: noVotes,
    versions: new Map<Address, number>(),
  }),
  initial: 'beginning',
  on: {
    'machine.describe': { actions: 'describe' },
    'system.described': { actions: 'remember' },
    'ask.failed': { actions: 'reportSilence' },
    // What happens to its workers the supervisor judges.
    'worker.joined': { actions: ['noteLife', 'passJoined'] },
    'link.lost': { actions: 'passLink' },
    'link.unreached': { actions: 'passUnreached' },
    'worker.stuck': { actions: 'passStuck' },
    'actor.failed': { actions: 'passFailure' },
    // Feeders are a step ahead, whatever the machine does meanwhile; they know of no attempts.
    'batch.prefetch': { actions: ['awaitFeeders', 'prefetch'] },
    'batch.counted': [
      { guard: 'isLastCount', actions: ['counted', 'keepCount', 'reportCount'] },
      { actions: ['counted', 'keepCount'] },
    ],
    // Nobody waits for it: what comes behind a vote counts in the next step.
    'experts.measured': { actions: 'countKernels' },
    'attempt.leave': { target: '.leaving', reenter: true, actions: ['enter', 'awaitLeavers', 'leave'] },
    'lead.asks': [{ guard: 'followsAnother', actions: 'refuseLead' }, { actions: ['follow', 'holdForLead'] }],
    'lead.lost': { actions: 'restartLead' },
    'lead.silent': { actions: 'restartLead' },
    // All that was awaited has answered before.
    'commit.forget': { actions: 'ignore' },
  },
  states: {
    beginning: { always: [{ guard: 'joins', target: 'joining' }, { target: 'loading' }] },
    /** Until the trainer says which attempt all are in. */
    joining: {},
    loading: {
      entry: ['awaitShards', 'awaitLoading'],
      on: { 'shard.loaded': { actions: ['answered', 'heardLoaded'] } },
      always: { guard: 'settled', target: 'waiting', actions: 'reportLoaded' },
    },
    /** For the trainer. */
    waiting: {
      on: {
        'step.open': { target: 'stepping', actions: ['enter', 'awaitStep', 'openStep'] },
        // Said again when a connection broke: what it has carried out it does not carry out once more.
        'commit.decide': [
          { guard: 'isCarriedOut', actions: 'reportApplied' },
          { target: 'committing', actions: ['noteDecision', 'awaitHolders', 'decide'] },
        ],
        'evaluation.open': { target: 'evaluating', actions: ['awaitStages', 'openEvaluation'] },
        'generation.open': { target: 'answering', actions: ['awaitStages', 'openQuestion'] },
        'experts.move': { target: 'moving', actions: ['awaitHolders', 'moveExperts'] },
        'snapshot.take': { actions: 'takeSnapshot' },
        // Of a machine whose shards all got their state from elsewhere.
        'shard.keep': { actions: 'ignore' },
        'shard.send': { actions: 'send' },
      },
    },
    stepping: {
      on: {
        'gradient.vote': [
          { guard: 'isLastVote', actions: ['answered', 'countVote', 'recordVote', 'reportVotes'] },
          { actions: ['answered', 'countVote', 'recordVote'] },
        ],
        'stage.measured': [
          { guard: 'isLastMeasure', actions: ['measured', 'recordMeasure', 'reportMeasures'] },
          { actions: ['measured', 'recordMeasure'] },
        ],
        'balance.share': [
          { guard: 'isLastShare', actions: ['shared', 'recordShare', 'reportShares'] },
          { actions: ['shared', 'recordShare'] },
        ],
        'balance.shared': { actions: 'passBalance' },
      },
      always: { guard: 'stepSettled', target: 'waiting', actions: 'endStep' },
    },
    /** The decision binds; what is left of the machine carries it out, also when a worker is lost meanwhile. */
    committing: {
      on: {
        'commit.decide': { actions: 'ignore' },
        'commit.applied': { actions: ['answered', 'heardApplied'] },
        'commit.forget': { actions: ['forgetLost', 'forget'] },
      },
      always: { guard: 'settled', target: 'waiting', actions: ['noteApplied', 'reportApplied'] },
    },
    evaluating: {
      on: { 'stage.evaluated': { actions: ['answered', 'recordEvaluation'] } },
      always: { guard: 'settled', target: 'waiting', actions: 'reportEvaluation' },
    },
    answering: {
      on: { 'generation.logits': { actions: ['answered', 'recordLogits'] } },
      always: { guard: 'settled', target: 'waiting', actions: 'reportAnswer' },
    },
    moving: {
      on: { 'experts.staged': { actions: ['answered', 'heardStaged'] } },
      always: { guard: 'settled', target: 'waiting', actions: 'reportStaged' },
    },
    /** Every actor of the machine leaves the attempt, and says what it holds; lost workers are awaited. */
    leaving: {
      on: {
        'attempt.join': { actions: 'join' },
        'attempt.abandoned': { actions: ['answered', 'noteVersion', 'heardAbandoned'] },
      },
      always: { guard: 'settled', target: 'returning', actions: 'reportAbandoned' },
    },
    /** Shards get their state as the trainer says; one that gets it from another machine may have it before that word is here. */
    returning: {
      entry: 'awaitShards',
      on: {
        'shard.send': { actions: 'send' },
        'shard.keep': { actions: 'keep' },
        'shard.restore': { actions: 'restore' },
        'shard.loaded': { actions: ['answered', 'heardLoaded'] },
      },
      always: { guard: 'settled', target: 'waiting', actions: 'reportLoaded' },
    },
  },
});
