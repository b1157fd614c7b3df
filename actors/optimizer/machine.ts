import { numberIn } from '@troupe/runtime';
import { assign, setup } from 'xstate';
import type { OptimizerEvent } from './events.ts';

export interface OptimizerContext {
  /** Updates that the weights here have received. */
  readonly version: number;
  readonly attempt: number;
  readonly opened: boolean;
  /** Elements of the slice that have been added, over all replicas. */
  readonly received: number;
  readonly expected: number;
  /** Elements of finished sums that peers sent (ZeRO 0). */
  readonly totals: number;
  readonly expectedTotals: number;
  /** Units of the slice whose state is still on its way from the store. */
  readonly missing: number;
  readonly decided: boolean;
  readonly resumes: boolean;
}

export type OptimizerInput = Pick<
  OptimizerContext,
  'version' | 'expected' | 'expectedTotals' | 'missing' | 'resumes'
>;

const count = (event: OptimizerEvent): number => numberIn(event, 'to') - numberIn(event, 'from');

/** What peers may still send from an attempt that is over: it must not count for the next one. */
export const fencedByOptimizer: ReadonlySet<string> = new Set(['gradient.add', 'gradient.total']);

/** The (step, attempt) whose sums a shard collects. */
export const optimizerEpoch = ({
  version,
  attempt,
}: Pick<OptimizerContext, 'version' | 'attempt'>): { readonly step: number; readonly attempt: number } => ({
  step: version + 1,
  attempt,
});

/**
 * A slice of one parameter class on one device: master weights, Adam moments, gradient sums.
 *
 * OPT-1: a gradient slice is added on arrival, whatever the order, since sums are exact. OPT-2: a shard votes once its sum is
 * complete, and applies a decision once. OPT-3: gradients of the next step that arrive before this one is applied wait.
 * OPT-4: what a peer sent in an attempt that was replayed is dropped: a total travels on another lane than the trainer's word.
 */
export const optimizerMachine = setup({
  types: { context: {} as OptimizerContext, events: {} as OptimizerEvent, input: {} as OptimizerInput },
  actions: {
    ignore: () => {},
    initialise: () => {},
    askSlices: () => {},
    acceptSlice: () => {},
    failLoading: () => {},
    publishFirst: () => {},
    reset: () => {},
    add: () => {},
    acceptTotal: () => {},
    setAside: () => {},
    measureNorm: () => {},
    vote: () => {},
    shareTotal: () => {},
    rememberDecision: () => {},
    apply: () => {},
    publish: () => {},
    takeUp: () => {},
    snapshot: () => {},
  },
  guards: {
    resumes: ({ context }) => context.resumes,
    lastSlice: ({ context }) => context.missing === 1,
    nothingMissing: ({ context }) => context.missing === 0,
    complete: ({ context }) => context.opened && context.received === context.expected,
    mayApply: ({ context }) => context.decided && context.totals === context.expectedTotals,
    isReplay: ({ event }) => event.attempt > 1,
    isNextStep: ({ context, event }) => event.step > context.version + 1,
  },
}).createMachine({
  id: 'optimizer',
  context: ({ input }) => ({ ...input, attempt: 1, opened: false, received: 0, totals: 0, decided: false }),
  initial: 'loading',
  // Queued on the device in order, so their completions change nothing.
  on: { 'gradient.added': { actions: 'ignore' }, 'sums.reset': { actions: 'ignore' } },
  states: {
    loading: {
      initial: 'choosing',
      states: {
        choosing: { always: [{ guard: 'resumes', target: 'reading' }, { target: 'drawing' }] },
        drawing: { entry: 'initialise', on: { 'parameters.initialised': '#optimizer.publishing' } },
        reading: {
          entry: 'askSlices',
          always: { guard: 'nothingMissing', target: '#optimizer.publishing' },
          on: {
            'slices.read': [
              { guard: 'lastSlice', target: '#optimizer.publishing', actions: 'acceptSlice' },
              { actions: ['acceptSlice', assign({ missing: ({ context }) => context.missing - 1 })] },
            ],
            'ask.failed': { actions: 'failLoading' },
          },
        },
      },
      on: { 'gradient.add': { actions: 'setAside' }, 'step.open': { actions: 'setAside' } },
    },
    publishing: { entry: 'publishFirst', always: 'collecting' },
    /** Sums of the step after `version` arrive. */
    collecting: {
      entry: 'takeUp',
      on: {
        'step.open': [
          {
            guard: 'isReplay',
            actions: [
              'reset',
              assign({ opened: true, attempt: ({ event }) => event.attempt, received: 0, totals: 0 }),
            ],
          },
          { actions: assign({ opened: true, attempt: ({ event }) => event.attempt }) },
        ],
        'gradient.add': [
          { guard: 'isNextStep', actions: 'setAside' },
          { actions: ['add', assign({ received: ({ context, event }) => context.received + count(event) })] },
        ],
        'gradient.total': {
          actions: ['acceptTotal', assign({ totals: ({ context, event }) => context.totals + count(event) })],
        },
        'snapshot.take': { actions: 'snapshot' },
      },
      always: { guard: 'complete', target: 'measuring' },
    },
    measuring: {
      entry: 'measureNorm',
      on: {
        'norm.measured': { target: 'voted', actions: ['vote', 'shareTotal'] },
        'gradient.add': { actions: 'setAside' },
        'gradient.total': {
          actions: ['acceptTotal', assign({ totals: ({ context, event }) => context.totals + count(event) })],
        },
      },
    },
    /** The sum is complete; the trainer decides. */
    voted: {
      on: {
        'commit.decide': { actions: ['rememberDecision', assign({ decided: true })] },
        'gradient.add': { actions: 'setAside' },
        'gradient.total': {
          actions: ['acceptTotal', assign({ totals: ({ context, event }) => context.totals + count(event) })],
        },
        'step.open': {
          guard: 'isReplay',
          target: 'collecting',
          actions: [
            'reset',
            assign({ opened: true, attempt: ({ event }) => event.attempt, received: 0, totals: 0 }),
          ],
        },
      },
      always: { guard: 'mayApply', target: 'applying' },
    },
    applying: {
      entry: 'apply',
      on: {
        'weights.applied': {
          target: 'collecting',
          actions: [
            assign({
              version: ({ context }) => context.version + 1,
              attempt: 1,
              received: 0,
              totals: 0,
              opened: false,
              decided: false,
            }),
            'publish',
          ],
        },
        'gradient.add': { actions: 'setAside' },
        'gradient.total': { actions: 'setAside' },
        'step.open': { actions: 'setAside' },
      },
    },
  },
});
