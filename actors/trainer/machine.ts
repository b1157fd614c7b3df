import type { Address } from '@troupe/core';
import { always, ignore, of, on, type EffectsOf } from '@troupe/runtime';
import { assign, setup } from 'xstate';
import { addresses } from '@troupe/topology/layout';
import { crewOf, heldBy } from '../crew.ts';
import { Pending } from '../pending.ts';
import { addVote, noVotes, type Votes } from '../votes.ts';
import type { TrainerContext, TrainerInput } from './context.ts';
import type { TrainerEvent } from './events.ts';
import { planRecovery } from './recovery-plan.ts';
import type { Held } from './takeover.ts';
import { heldIn, recordsOf, takenUp } from './takeover-plan.ts';
import { dealsAfter, evaluatesAfter, savesAfter } from './schedule.ts';

/** An answer of a kind by an agent or the store, as it is awaited. */
export const answerOf = (kind: TrainerEvent['type'], from: Address): string => `${kind} ${from}`;

const answersOf = (kind: TrainerEvent['type'], agents: readonly Address[]): readonly string[] =>
  agents.map((agent) => answerOf(kind, agent));

const without = <T>(values: ReadonlySet<T>, value: T): ReadonlySet<T> => {
  const rest = new Set(values);
  rest.delete(value);
  return rest;
};

/** What a run that is over hears of losses. */
const lossesIgnored = {
  'worker.down': { actions: 'ignore' },
  'machine.down': { actions: 'ignore' },
  'link.down': { actions: 'ignore' },
} as const;

/** The votes with one more. */
const votedBy = (
  votes: Votes,
  { body, tensors }: Extract<TrainerEvent, { readonly type: 'machine.voted' }>,
): Votes => addVote(votes, tensors.norm128, body.overflow);

/** The lead before was lost while the first parameters were drawn: nothing is lost when they are drawn again. */
const beganNothing = ({ taken, step }: TrainerContext): boolean =>
  taken !== null && taken.record === null && step === 0;

export const trainerActions = {
  ignore,
  claim: always,
  askAgents: always,
  askAgain: always,
  askMachine: on('machine.up'),
  heardHolds: on('agent.holds'),
  adopt: always,
  failClaim: on('lead.unclaimed'),
  failRefused: on('lead.refused'),
  start: always,
  open: always,
  replay: always,
  recordCount: on('machine.counted'),
  recordMeasure: on('machine.measured'),
  recordVote: on('machine.voted'),
  shareBalance: on('machine.balanced'),
  decide: always,
  record: always,
  send: always,
  failRecord: on('decision.unrecorded'),
  decideAgain: on('link.down'),
  report: always,
  evaluate: always,
  recordEvaluation: on('machine.evaluated'),
  reportEvaluation: always,
  serve: always,
  ask: on('prompt.put'),
  recordLogits: on('machine.answered'),
  answerQuestion: always,
  checkpoint: always,
  reportCheckpoint: on('checkpoint.written'),
  failCheckpoint: on('checkpoint.failed'),
  failDiverged: always,
  finish: always,
  deal: always,
  moveExperts: always,
  seatExperts: always,
  reportLoss: on('worker.down', 'machine.down', 'link.down'),
  forgetLost: on('worker.down'),
  abandon: always,
  abandonJoined: on('worker.up'),
  abandonMachine: on('machine.up'),
  rebuild: always,
  findSnapshot: always,
  restore: on('snapshot.found'),
  reportRecovered: always,
  failRecovery: always,
  heard: always,
  heardApplied: on('machine.applied'),
  reportSaved: on('checkpoint.settled'),
} as const;

/** What carries them out. */
export type TrainerEffects = EffectsOf<typeof trainerActions, TrainerContext, TrainerEvent>;

/**
 * The step protocol. TRN-1: a step commits once, when the agents of all machines have said that every shard has voted and every stage
 * has measured; a decision is never taken back. TRN-2: a non-finite step is replayed once and skipped only if it repeats; `maxSkipped` skipped steps in a row end the run. TRN-3: nothing new opens before what the
 * commit made due (evaluation, checkpoint) is done.
 *
 * TRN-4: a loss before the decision abandons the attempt; after it, the shards that are left carry it out first. JRN-1: nobody hears of a
 * decision before its record lasts. TRN-5: nothing opens
 * after a loss until every actor has left the abandoned attempt and every shard holds the same version.
 *
 * TKO-4: a lead that takes over asks all agents, carries out the newest decision that anybody knows of, and then begins a new attempt, as
 * after a loss; until it knows the attempt it takes nothing up.
 *
 * MOV-2: experts move between steps, once all that moves lies beside what is held; an attempt begins then, as after a loss, and a loss
 * changes neither where experts sit nor what they are.
 */
export const trainerMachine = setup({
  types: { context: {} as TrainerContext, events: {} as TrainerEvent, input: {} as TrainerInput },
  actions: {
    ...trainerActions,
    answered: assign({
      awaited: ({ context, event }) => context.awaited.without(answerOf(event.type, event.from)),
    }),
    countVote: assign({
      votes: ({ context, event }) => votedBy(context.votes, of(event, 'machine.voted')),
    }),
    judge: assign(({ context: { votes, skipped, saved, proven } }) =>
      votes.overflow ? { skipped: skipped + 1 } : { skipped: 0, proven: Math.max(saved, proven) },
    ),
    awaitLoaded: assign({
      awaited: ({ context }) => Pending.of(answersOf('machine.loaded', context.agents.voting)),
    }),
    /** Of shards, and the copies of shards: all that carries out a decision. */
    awaitApplied: assign({
      awaited: ({ context: { agents, machinesUnsent } }) =>
        [...machinesUnsent].reduce(
          (awaited, machine) => awaited.without(answerOf('machine.applied', addresses.agent(machine))),
          Pending.of(answersOf('machine.applied', agents.holding)),
        ),
    }),
    awaitStaged: assign({
      awaited: ({ context }) => Pending.of(answersOf('machine.staged', context.agents.holding)),
    }),
    awaitStep: assign({
      votes: noVotes,
      awaited: ({ context: { agents } }) =>
        Pending.of([
          ...answersOf('machine.voted', agents.voting),
          ...answersOf('machine.measured', agents.computing),
        ]),
    }),
    markLost: assign({
      broken: true,
      down: ({ context, event }) => new Set([...context.down, of(event, 'worker.down').body.worker]),
    }),
    markMachineLost: assign(({ context, event }) => {
      const { machine } = of(event, 'machine.down').body;
      return {
        broken: true,
        down: new Set([...context.down, ...crewOf(context.layout, machine).nodes]),
        downMachines: new Set([...context.downMachines, machine]),
      };
    }),
    markMachineJoined: assign({
      downMachines: ({ context, event }) =>
        without(context.downMachines, of(event, 'machine.up').body.machine),
    }),
    /** A machine that is lost carries nothing out any more. */
    dropMachine: assign({
      awaited: ({ context, event }) =>
        context.awaited.without(
          answerOf('machine.applied', addresses.agent(of(event, 'machine.down').body.machine)),
        ),
    }),
    noteRecorded: assign({
      recorded: ({ event }) => recordsOf(of(event, 'lead.claimed').body.records),
    }),
    awaitHolds: assign({
      awaited: ({ context }) => Pending.of(answersOf('agent.holds', context.agents.all)),
    }),
    noteHeld: assign({
      held: ({ context, event }) =>
        new Map([...context.held, [event.from, heldIn(of(event, 'agent.holds'))]]),
    }),
    /** What a machine said that is lost counts no more: its next life is asked. */
    forgetHeld: assign(({ context: { agents, held }, event }) => {
      const lost = addresses.agent(of(event, 'machine.down').body.machine);
      const left = new Map([...held].filter(([agent]) => agent !== lost));
      const silent = agents.all.filter((agent) => !left.has(agent));
      return { held: left, awaited: Pending.of(answersOf('agent.holds', silent)) };
    }),
    planTakeover: assign(({ context }) => takenUp(context)),
    /** The store knows what it has written, also what the lead before never heard of. */
    noteSaved: assign({
      saved: ({ context: { taken, saved }, event }) =>
        taken === null ? saved : Math.max(saved, of(event, 'checkpoint.settled').body.saved),
    }),
    markJoined: assign({
      down: ({ context, event }) => without(context.down, of(event, 'worker.up').body.worker),
    }),
  },
  guards: {
    settled: ({ context }) => context.awaited.size === 0,
    takesOver: ({ context }) => context.takesOver,
    hasPending: ({ context }) =>
      context.taken !== null && context.agents.holding.some((agent) => context.taken?.pending.has(agent)),
    hasRecord: ({ context }) => context.taken !== null && context.taken.record !== null,
    settledBroken: ({ context }) => context.awaited.size === 0 && context.broken,
    settledRebuildable: ({ context }) =>
      context.awaited.size === 0 && planRecovery(context.layout, context.versions, context.step) !== null,
    begun: ({ context }) => context.uncounted.get(context.step + 1)?.size === 0,
    settledRecords: ({ context }) => context.awaited.size === 0 && context.records,
    replayable: ({ context }) => context.awaited.size === 0 && context.votes.overflow && !context.replayed,
    evaluationDue: ({ context }) =>
      context.step > context.evaluated && evaluatesAfter(context.schedule, context.step),
    // A step that was skipped has changed nothing: its checkpoint comes after the next one that has.
    checkpointDue: ({ context }) => context.skipped === 0 && savesAfter(context.schedule, context),
    dealDue: ({ context }) =>
      !context.stopping && context.step < context.stopAfter && dealsAfter(context.schedule, context),
    moves: ({ event }) => of(event, 'experts.dealt').body.moves,
    diverged: ({ context }) => context.maxSkipped > 0 && context.skipped >= context.maxSkipped,
    endedUnsaved: ({ context }) =>
      context.schedule.checkpointEvery >= 0 &&
      context.saved !== context.step &&
      (context.stopping || context.step >= context.stopAfter),
    serving: ({ context }) => context.serves && !context.stopping,
    stopping: ({ context }) => context.stopping,
    ended: ({ context }) => context.stopping || context.step >= context.stopAfter,
    mayRestore: ({ context, event }) =>
      of(event, 'snapshot.found').body.exists || context.restartsFromBeginning || beganNothing(context),
  },
}).createMachine({
  id: 'trainer',
  context: ({ input }) => ({
    ...input,
    // Of a lead that takes over: until it knows better, whatever comes is of an attempt that is over.
    attempt: input.takesOver ? Number.POSITIVE_INFINITY : 1,
    recorded: [],
    held: new Map<Address, Held>(),
    taken: null,
    replayed: false,
    votes: noVotes,
    awaited: Pending.of<string>([]),
    uncounted: new Map<number, Pending<Address>>(),
    feeding: Pending.of(input.agents.feeding),
    down: new Set<number>(),
    downMachines: new Set<number>(),
    broken: false,
    lostUnsent: new Set<number>(),
    machinesUnsent: new Set<number>(),
    versions: new Map<Address, number>(),
    stopping: false,
    saved: input.step,
    proven: 0,
    skipped: 0,
    dealt: input.step,
    evaluated: input.schedule.evaluatesFirst === true ? input.step - 1 : input.step,
  }),
  initial: 'beginning',
  on: {
    // It was asked again, and has answered meanwhile.
    'agent.holds': { actions: 'ignore' },
    'lead.refused': { target: '.failed', actions: 'failRefused' },
    'run.stop': { actions: assign({ stopping: true }) },
    // Feeders report one step ahead, whatever the trainer does meanwhile.
    'machine.counted': {
      actions: [
        assign({
          uncounted: ({ context: { uncounted, feeding }, event }) =>
            new Map([...uncounted, [event.step, (uncounted.get(event.step) ?? feeding).without(event.from)]]),
        }),
        'recordCount',
      ],
    },
    'worker.down': { target: '.recovering', actions: ['markLost', 'reportLoss'] },
    'worker.up': { actions: 'markJoined' },
    'machine.down': { target: '.recovering', actions: ['markMachineLost', 'reportLoss'] },
    'machine.up': { actions: 'markMachineJoined' },
    'link.down': { target: '.recovering', actions: [assign({ broken: true }), 'reportLoss'] },
    'checkpoint.written': { actions: [assign({ saved: ({ event }) => event.step }), 'reportCheckpoint'] },
    'checkpoint.failed': { target: '.failed', actions: 'failCheckpoint' },
  },
  states: {
    beginning: { always: [{ guard: 'takesOver', target: 'takingOver' }, { target: 'loading' }] },
    /** The lead before is lost; its run goes on. */
    takingOver: {
      initial: 'claiming',
      on: {
        'worker.down': { actions: 'markLost' },
        'machine.down': { actions: ['markMachineLost', 'forgetHeld'] },
        'machine.up': { actions: ['markMachineJoined', 'askMachine'] },
        'link.down': { actions: 'askAgain' },
      },
      states: {
        /** TKO-1: of its epoch, on the disk of the run. */
        claiming: {
          entry: 'claim',
          on: {
            'lead.claimed': { target: 'asking', actions: 'noteRecorded' },
            'lead.unclaimed': { target: '#trainer.failed', actions: 'failClaim' },
          },
        },
        /** All agents, also of machines that come back first. */
        asking: {
          entry: ['awaitHolds', 'askAgents'],
          on: { 'agent.holds': { actions: ['answered', 'noteHeld', 'heardHolds'] } },
          always: { guard: 'settled', target: 'resuming', actions: 'planTakeover' },
        },
        resuming: {
          always: [
            { guard: 'hasPending', target: '#trainer.committing', actions: ['adopt', 'send'] },
            { guard: 'hasRecord', target: '#trainer.recovering', actions: ['adopt', 'report'] },
            { target: '#trainer.recovering', actions: 'adopt' },
          ],
        },
      },
    },
    loading: {
      entry: ['awaitLoaded', 'start'],
      on: { 'machine.loaded': { actions: 'answered' } },
      always: { guard: 'settled', target: 'committed' },
    },
    /** Between steps: stop, or open the next one as soon as its batch is counted. */
    choosing: {
      always: [
        { guard: 'endedUnsaved', target: 'checkpointing' },
        { guard: 'serving', target: 'serving' },
        { guard: 'ended', target: 'closing' },
        { guard: 'begun', target: 'training' },
      ],
    },
    training: {
      entry: [
        assign({ step: ({ context }) => context.step + 1, replayed: false }),
        assign({
          uncounted: ({ context }) => new Map([...context.uncounted].filter(([step]) => step > context.step)),
        }),
        'awaitStep',
        'open',
      ],
      on: {
        'machine.measured': { actions: ['answered', 'recordMeasure'] },
        'machine.balanced': { actions: 'shareBalance' },
        'machine.voted': { actions: ['answered', 'countVote', 'recordVote'] },
        // What is open is not committed: the last commit is the step before.
        'worker.down': {
          target: 'recovering',
          actions: [assign({ step: ({ context }) => context.step - 1 }), 'markLost', 'reportLoss'],
        },
        'machine.down': {
          target: 'recovering',
          actions: [assign({ step: ({ context }) => context.step - 1 }), 'markMachineLost', 'reportLoss'],
        },
        'link.down': {
          target: 'recovering',
          actions: [assign({ step: ({ context }) => context.step - 1, broken: true }), 'reportLoss'],
        },
      },
      always: [
        {
          guard: 'replayable',
          actions: [
            assign({ attempt: ({ context }) => context.attempt + 1, replayed: true }),
            'awaitStep',
            'replay',
          ],
        },
        { guard: 'settledRecords', target: 'recording', actions: ['judge', 'decide'] },
        { guard: 'settled', target: 'committing', actions: ['judge', 'decide', 'send'] },
      ],
    },
    /** The decision binds from here on; nobody hears of it before its record lasts (JRN-1). */
    recording: {
      entry: [assign({ lostUnsent: new Set<number>(), machinesUnsent: new Set<number>() }), 'record'],
      on: {
        'decision.recorded': { target: 'committing', actions: 'send' },
        'decision.unrecorded': { target: 'failed', actions: 'failRecord' },
        'worker.down': {
          actions: [
            assign({
              lostUnsent: ({ context, event }) => new Set([...context.lostUnsent, event.body.worker]),
            }),
            'markLost',
            'reportLoss',
          ],
        },
        'machine.down': {
          actions: [
            assign({
              machinesUnsent: ({ context, event }) =>
                new Set([...context.machinesUnsent, event.body.machine]),
            }),
            'markMachineLost',
            'reportLoss',
          ],
        },
        'link.down': { actions: [assign({ broken: true }), 'reportLoss'] },
      },
    },
    /** The decision is out; shards apply it, also when others are lost meanwhile. */
    committing: {
      entry: 'awaitApplied',
      on: {
        'machine.applied': { actions: ['answered', 'heardApplied'] },
        'worker.down': { actions: ['markLost', 'reportLoss', 'forgetLost'] },
        'machine.down': { actions: ['markMachineLost', 'reportLoss', 'dropMachine'] },
        // What was on its way may be lost, the decision or its answers.
        'link.down': { actions: [assign({ broken: true }), 'reportLoss', 'decideAgain'] },
      },
      always: [
        { guard: 'settledBroken', target: 'recovering', actions: 'report' },
        { guard: 'settled', target: 'committed', actions: 'report' },
      ],
    },
    committed: {
      always: [
        { guard: 'diverged', target: 'failed', actions: 'failDiverged' },
        { guard: 'evaluationDue', target: 'evaluating' },
        { guard: 'dealDue', target: 'dealing' },
        { guard: 'checkpointDue', target: 'checkpointing' },
        { target: 'choosing' },
      ],
    },
    evaluating: {
      entry: [
        assign({
          awaited: ({ context }) => Pending.of(answersOf('machine.evaluated', context.agents.computing)),
        }),
        'evaluate',
      ],
      on: { 'machine.evaluated': { actions: ['answered', 'recordEvaluation'] } },
      always: {
        guard: 'settled',
        target: 'committed',
        actions: [assign({ evaluated: ({ context }) => context.step }), 'reportEvaluation'],
      },
    },
    /** By the rows that experts had since the last time. */
    dealing: {
      entry: 'deal',
      on: {
        'experts.dealt': [
          { guard: 'moves', target: 'moving' },
          { target: 'committed', actions: assign({ dealt: ({ context }) => context.step }) },
        ],
      },
    },
    /** What moves is on its way to where it will sit; nothing is in the place of anything else so far. */
    moving: {
      entry: ['awaitStaged', 'moveExperts'],
      on: { 'machine.staged': { actions: 'answered' } },
      always: {
        guard: 'settled',
        target: 'recovering',
        actions: [assign({ dealt: ({ context }) => context.step }), 'seatExperts'],
      },
    },
    /** Waits for a question. */
    serving: {
      entry: 'serve',
      on: { 'prompt.put': { target: 'answering', actions: 'ask' } },
      always: { guard: 'stopping', target: 'closing' },
    },
    answering: {
      entry: assign({
        awaited: ({ context }) => Pending.of(answersOf('machine.answered', context.agents.computing)),
      }),
      on: { 'machine.answered': { actions: ['answered', 'recordLogits'] } },
      always: { guard: 'settled', target: 'choosing', actions: 'answerQuestion' },
    },
    checkpointing: {
      entry: 'checkpoint',
      on: {
        'checkpoint.written': {
          target: 'choosing',
          actions: [assign({ saved: ({ context }) => context.step }), 'reportCheckpoint'],
        },
      },
    },
    recovering: {
      initial: 'abandoning',
      on: {
        'worker.down': {
          target: '.abandoning',
          reenter: true,
          actions: ['markLost', 'reportLoss'],
        },
        'machine.down': {
          target: '.abandoning',
          reenter: true,
          actions: ['markMachineLost', 'reportLoss'],
        },
        'link.down': { target: '.abandoning', reenter: true, actions: 'reportLoss' },
      },
      states: {
        /** Every actor leaves the attempt, and says what it holds; lost workers are awaited. */
        abandoning: {
          entry: [
            assign({
              attempt: ({ context }) => context.attempt + 1,
              versions: new Map<Address, number>(),
              awaited: ({ context }) =>
                Pending.of([
                  ...answersOf('machine.abandoned', context.agents.all),
                  answerOf('checkpoint.settled', context.store),
                ]),
            }),
            'abandon',
          ],
          on: {
            'worker.up': { actions: ['markJoined', 'abandonJoined'] },
            'machine.up': { actions: ['markMachineJoined', 'abandonMachine'] },
            'machine.abandoned': {
              actions: [
                'answered',
                'heard',
                assign({
                  versions: ({ context: { layout, versions }, event }) =>
                    new Map([...versions, ...heldBy(layout, event.body.machine, event.tensors.versions_N)]),
                }),
              ],
            },
            'checkpoint.settled': { actions: ['answered', 'heard', 'reportSaved', 'noteSaved'] },
          },
          always: [
            { guard: 'settledRebuildable', target: 'rebuilding' },
            { guard: 'settled', target: 'seeking' },
          ],
        },
        /** Shards get their state from shards that hold the same. */
        rebuilding: {
          entry: ['awaitLoaded', 'rebuild'],
          on: { 'machine.loaded': { actions: ['answered', 'heard'] } },
          always: { guard: 'settled', target: 'recovered' },
        },
        /** Some state is held by nobody: all go back to one snapshot. */
        seeking: {
          entry: 'findSnapshot',
          on: {
            'snapshot.found': [
              {
                guard: 'mayRestore',
                target: 'restoring',
                actions: assign({
                  step: ({ event }) => event.step,
                  saved: ({ event }) => event.step,
                  skipped: 0,
                }),
              },
              { target: '#trainer.failed', actions: 'failRecovery' },
            ],
            'ask.failed': { target: '#trainer.failed', actions: 'failRecovery' },
          },
        },
        restoring: {
          entry: ['awaitLoaded', 'restore'],
          on: { 'machine.loaded': { actions: ['answered', 'heard'] } },
          always: { guard: 'settled', target: 'recovered' },
        },
        recovered: {
          entry: [assign({ broken: false, taken: null }), 'reportRecovered'],
          always: '#trainer.committed',
        },
      },
    },
    closing: {
      entry: 'finish',
      on: lossesIgnored,
    },
    failed: { on: lossesIgnored },
  },
});
