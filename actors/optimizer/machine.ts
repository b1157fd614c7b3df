import { always, ignore, of, on, type EffectsOf } from '@troupe/runtime';
import { assign, setup } from 'xstate';
import { lengthOf } from '../gradients.ts';
import type { OptimizerContext, OptimizerInput } from './context.ts';
import type { OptimizerEvent } from './events.ts';

export const optimizerActions = {
  ignore,
  initialise: always,
  askSlices: always,
  acceptSlice: on('slices.found'),
  failLoading: on('ask.failed'),
  roundWeights: always,
  publishFirst: always,
  reportLoaded: always,
  guardSum: always,
  reset: always,
  add: on('gradient.add'),
  answerAdded: on('gradient.added'),
  freeSum: on('gradient.taken'),
  giveWeights: on('weights.ask'),
  acceptTotal: on('gradient.total'),
  setAside: always,
  settle: always,
  passOn: always,
  acceptSpread: on('weights.spread'),
  measureNorm: always,
  vote: always,
  shareTotal: always,
  apply: on('commit.decide'),
  publish: always,
  takeUp: always,
  snapshot: on('snapshot.take'),
  abandon: on('attempt.abandon'),
  reportAbandoned: always,
  sendState: on('shard.send'),
  acceptState: on('state.slice'),
  moveExperts: on('experts.move'),
  stageExperts: on('experts.state'),
  seatExperts: always,
} as const;

/** What carries them out. */
export type OptimizerEffects = EffectsOf<typeof optimizerActions, OptimizerContext, OptimizerEvent>;

const nothingCollected = {
  opened: false,
  level: 0,
  received: [] as readonly number[],
  totals: 0,
  kept: 0,
} as const;
const receivedAt = ({ received }: OptimizerContext, level: number): number => received[level] ?? 0;
const isCompleteAt = (context: OptimizerContext, level: number): boolean =>
  receivedAt(context, level) === context.expected[level];

/**
 * A slice of one parameter class on one device: master weights, Adam moments, gradient sums.
 *
 * OPT-1: a gradient slice is added on arrival, whatever the order, since sums are exact; the sum of a group is passed on once it is
 * complete. OPT-2: a shard votes once it holds the complete
 * sum of everything that it owns, so that it can carry out a decision alone, whoever is lost by then; it applies a decision once.
 * OPT-3: gradients of the next step that arrive before this one is applied wait. REC-1: any state leaves an abandoned attempt, but an
 * update that has begun is finished first; sums are reset behind all that the device still has of the attempt.
 *
 * BUD-1: a shard whose state nobody else holds votes, or says that it is loaded, once its buddy holds the same. MOV-1: experts that come lie
 * beside the state until an attempt begins in which they sit here.
 */
export const optimizerMachine = setup({
  types: { context: {} as OptimizerContext, events: {} as OptimizerEvent, input: {} as OptimizerInput },
  actions: {
    ...optimizerActions,
    beginAnew: assign(({ event }) => ({ ...nothingCollected, opened: true, attempt: event.attempt })),
    countAdded: assign({
      received: ({ context, event }) => {
        const { body } = of(event, 'gradient.add');
        const received = context.expected.map((_, index) => receivedAt(context, index));
        received[body.level] = receivedAt(context, body.level) + lengthOf(body);
        return received;
      },
    }),
    countKept: assign({ kept: ({ context, event }) => context.kept + lengthOf(of(event, 'ward.kept').body) }),
    countTotal: assign({
      totals: ({ context, event }) => context.totals + lengthOf(of(event, 'gradient.total').body),
    }),
    countState: assign({
      version: ({ event }) => event.version,
      loaded: false,
      copied: ({ context, event }) => context.copied + lengthOf(of(event, 'state.slice').body),
    }),
  },
  guards: {
    joins: ({ context }) => context.joins,
    fromSnapshot: ({ context }) => context.source === 'snapshot',
    lastSlice: ({ context }) => context.missing === 1,
    nothingMissing: ({ context }) => context.missing === 0,
    copied: ({ context }) => context.copied === context.owned,
    roundsNothing: ({ context }) => !context.rounds,
    complete: ({ context }) =>
      context.opened &&
      (context.inBuckets
        ? context.expected.every((_, level) => isCompleteAt(context, level))
        : isCompleteAt(context, context.level)),
    completeInGroup: ({ context }) =>
      context.opened &&
      !context.inBuckets &&
      context.level < context.expected.length - 1 &&
      isCompleteAt(context, context.level),
    holdsVersion: ({ context, event }) => context.loaded && event.version === context.version,
    isGuarded: ({ context }) => context.kept === context.guarded,
    mayVote: ({ context }) => context.totals === context.expectedTotals && context.kept === context.guarded,
    isReplay: ({ context, event }) => event.attempt > context.attempt,
    isNextStep: ({ context, event }) => event.step > context.version + 1,
    isApplied: ({ context, event }) => event.version < context.version,
  },
}).createMachine({
  id: 'optimizer',
  context: ({ input }) => ({
    ...input,
    ...nothingCollected,
    attempt: 1,
    loaded: false,
    missing: input.pieces,
    copied: 0,
  }),
  initial: 'loading',
  on: {
    // Queued on the device in order, so their completions change nothing here; those that sent a bucket wait for them.
    'gradient.added': { actions: 'answerAdded' },
    'gradient.taken': { actions: 'freeSum' },
    // Who asks may have heard of a version that is still on its way here.
    'weights.ask': [{ guard: 'holdsVersion', actions: 'giveWeights' }, { actions: 'setAside' }],
    // Others may be at the next version already; what they pass on is for the buffer that nobody reads any more (REP-1).
    'weights.spread': { actions: 'acceptSpread' },
    'sums.reset': { actions: 'ignore' },
    // Totals of others may come before the own sum is complete, and the copy's answers with them; an empty slice waits for no answer, and gets one.
    'ward.kept': { actions: 'countKept' },
    'shard.send': { actions: 'sendState' },
    'commit.decide': { guard: 'isApplied', actions: 'ignore' },
    'attempt.abandon': {
      target: '.draining',
      actions: [assign({ ...nothingCollected, attempt: ({ event }) => event.attempt, copied: 0 }), 'abandon'],
    },
  },
  states: {
    loading: {
      initial: 'choosing',
      states: {
        choosing: {
          always: [
            { guard: 'joins', target: '#optimizer.abandoned' },
            { guard: 'fromSnapshot', target: 'reading' },
            { target: 'drawing' },
          ],
        },
        drawing: { entry: 'initialise', on: { 'parameters.initialised': '#optimizer.publishing' } },
        reading: {
          entry: 'askSlices',
          always: { guard: 'nothingMissing', target: 'rounding' },
          on: {
            'slices.found': [
              { guard: 'lastSlice', target: 'rounding', actions: 'acceptSlice' },
              { actions: ['acceptSlice', assign({ missing: ({ context }) => context.missing - 1 })] },
            ],
            'ask.failed': { actions: 'failLoading' },
          },
        },
        /** A peer that holds the same state sends it. */
        copying: {
          always: { guard: 'copied', target: 'rounding' },
          on: { 'state.slice': { actions: ['countState', 'acceptState'] } },
        },
        /** What was put in reaches those who read it in bf16. */
        rounding: {
          always: { guard: 'roundsNothing', target: '#optimizer.publishing' },
          entry: 'roundWeights',
          on: { 'weights.rounded': '#optimizer.publishing' },
        },
      },
      on: { 'gradient.add': { actions: 'setAside' }, 'step.open': { actions: 'setAside' } },
    },
    /** Readers get the weights, and the buddy all of the state: only then can a loss do no harm. */
    publishing: {
      entry: [assign({ loaded: true, kept: 0 }), 'publishFirst'],
      always: {
        guard: 'isGuarded',
        target: 'collecting',
        actions: ['reportLoaded', assign({ kept: 0 })],
      },
    },
    /** Sums of the step after `version` arrive. */
    collecting: {
      entry: 'takeUp',
      on: {
        'step.open': [
          { guard: 'isReplay', actions: ['beginAnew', 'reset'] },
          { actions: assign({ opened: true }) },
        ],
        'gradient.add': [{ guard: 'isNextStep', actions: 'setAside' }, { actions: ['add', 'countAdded'] }],
        'gradient.total': { actions: ['acceptTotal', 'countTotal'] },
        'snapshot.take': { actions: 'snapshot' },
        // Between steps: nothing of the next one is open yet.
        'experts.move': { actions: 'moveExperts' },
        'experts.state': { actions: 'stageExperts' },
      },
      always: [
        { guard: 'completeInGroup', target: 'passing' },
        { guard: 'complete', target: 'measuring' },
      ],
    },
    /** The group's sum goes on to those of other groups that complete its parts. */
    passing: {
      entry: 'settle',
      on: {
        'sums.settled': {
          target: 'collecting',
          actions: [assign({ level: ({ context }) => context.level + 1 }), 'passOn'],
        },
        'gradient.add': { actions: ['add', 'countAdded'] },
        'gradient.total': { actions: ['acceptTotal', 'countTotal'] },
      },
    },
    measuring: {
      entry: 'measureNorm',
      on: {
        'norm.measured': { target: 'gathering', actions: ['shareTotal', 'guardSum'] },
        'gradient.add': { actions: 'setAside' },
        'gradient.total': { actions: ['acceptTotal', 'countTotal'] },
      },
    },
    /** The own slice is summed; those of the peers come (ZeRO 0), or the buddy says that it holds the sum too. */
    gathering: {
      on: {
        'gradient.add': { actions: 'setAside' },
        'gradient.total': { actions: ['acceptTotal', 'countTotal'] },
      },
      always: { guard: 'mayVote', target: 'voted', actions: 'vote' },
    },
    /** The sum is complete; the trainer decides. */
    voted: {
      on: {
        'commit.decide': { target: 'applying', actions: 'apply' },
        'gradient.add': { actions: 'setAside' },
        'step.open': { guard: 'isReplay', target: 'collecting', actions: ['beginAnew', 'reset'] },
      },
    },
    applying: {
      on: {
        'weights.applied': {
          target: 'collecting',
          actions: [
            assign({
              ...nothingCollected,
              version: ({ context }) => context.version + 1,
            }),
            'publish',
          ],
        },
        'gradient.add': { actions: 'setAside' },
        'gradient.total': { actions: 'setAside' },
        'step.open': { actions: 'setAside' },
        'attempt.abandon': { actions: 'setAside' },
        'weights.ask': { actions: 'setAside' },
      },
    },
    /** Nothing of the abandoned attempt may reach the sums of the next one. */
    draining: {
      entry: 'reset',
      on: { 'sums.reset': { target: 'abandoned', actions: ['seatExperts', 'reportAbandoned'] } },
    },
    /** The trainer says where each shard's state is to come from. */
    abandoned: {
      on: {
        // Experts that have come here are not rounded yet where they are read so.
        'shard.keep': 'loading.rounding',
        'state.slice': { target: 'loading.copying', actions: ['countState', 'acceptState'] },
        'shard.restore': {
          target: 'loading',
          actions: assign({
            version: ({ event }) => event.version,
            loaded: false,
            joins: false,
            missing: ({ context }) => context.pieces,
            source: ({ event }) => event.body.source,
          }),
        },
      },
    },
  },
});
