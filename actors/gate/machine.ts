import { always, on, type EffectsOf } from '@troupe/runtime';
import { assign, setup } from 'xstate';
import type { PassMode } from '../messages.ts';
import type { GateEvent } from './events.ts';

export interface GateContext {
  readonly step: number;
  readonly attempt: number;
  readonly version: number;
  readonly microbatch: number;
  readonly mode: PassMode;
  /** Where the stage keeps the pass. */
  readonly slot: number;
  /** True in the last microbatch of a step: experts send their gradients after it. */
  readonly last: boolean;
  readonly returned: number;
  /** Of every rank for every chunk. */
  readonly numAnswers: number;
  /** Rows are gathered or rounded before they are given to experts. */
  readonly packs: boolean;
  /** The choices come from elsewhere than the top-k of the logits, so these are needed first. */
  readonly choosesItself: boolean;
  /** Experts choose, among sequences of other replicas too. */
  readonly sharesGroups: boolean;
  /** Messages that come in a pass with candidates of others, and with what others have decided. */
  readonly numCandidates: number;
  readonly numThresholds: number;
  /** Of these, how many have come. */
  readonly nominated: number;
  readonly decided: number;
}

export type GateInput = Pick<
  GateContext,
  'numAnswers' | 'packs' | 'choosesItself' | 'sharesGroups' | 'numCandidates' | 'numThresholds'
>;

const passOf = (
  event: Extract<GateEvent, { readonly type: 'forward.run' | 'backward.run' }>,
): Pick<GateContext, 'step' | 'attempt' | 'version' | 'microbatch' | 'mode' | 'slot'> => ({
  step: event.step,
  attempt: event.attempt,
  version: event.version,
  microbatch: event.microbatch,
  mode: event.type === 'forward.run' ? event.body.mode : 'train',
  slot: event.body.slot,
});

/** What others tell of their choices is of the pass at hand; a replica may be ahead. */
const isOfPass = (context: GateContext, event: GateEvent): boolean =>
  (event.type === 'choice.candidates' || event.type === 'choice.thresholds') &&
  event.step === context.step &&
  event.attempt === context.attempt &&
  event.microbatch === context.microbatch &&
  event.body.mode === context.mode;

export const gateActions = {
  score: always,
  nominate: always,
  sendCandidates: always,
  acceptCandidates: on('choice.candidates'),
  decide: always,
  sendThresholds: always,
  acceptThresholds: on('choice.thresholds'),
  routeChosen: always,
  setAsideChoices: on('choice.candidates', 'choice.thresholds'),
  takeUpChoices: always,
  route: always,
  pack: always,
  dispatch: always,
  acceptRows: on('rows.return'),
  combine: always,
  finishForward: always,
  weigh: always,
  dispatchGradients: always,
  acceptGradients: on('gradients.return'),
  backward: always,
  finishBackward: always,
  setAside: on('forward.run', 'backward.run'),
  takeUp: always,
  abandon: on('attempt.abandon'),
} as const;

/** What carries them out. */
export type GateEffects = EffectsOf<typeof gateActions, GateContext, GateEvent>;

/**
 * Routing, dispatch and combine of one MoE layer of one replica.
 *
 * GAT-1: the combine waits for all chunks of the rows of every rank and adds in choice order, so which answer came first does not show.
 * GAT-3: what is asked for a pass while another one is on its way waits for its turn.
 * CHO-4: choices of a pass are planned when the thresholds of all its positions are here; what another replica sends for a pass that is not at hand waits.
 * GAT-2: a rank without rows is asked too: an expert without tokens is a correct participant. REC-1: any state leaves an abandoned attempt.
 */
export const gateMachine = setup({
  types: { context: {} as GateContext, events: {} as GateEvent, input: {} as GateInput },
  actions: gateActions,
  guards: {
    choosesItself: ({ context }) => context.choosesItself,
    sharesGroups: ({ context }) => context.sharesGroups,
    needsNoCandidates: ({ context }) => context.numCandidates === 0,
    needsNoThresholds: ({ context }) => context.numThresholds === 0,
    isOfPass: ({ context, event }) => isOfPass(context, event),
    completesCandidates: ({ context, event }) =>
      isOfPass(context, event) && context.nominated + 1 === context.numCandidates,
    completesThresholds: ({ context, event }) =>
      isOfPass(context, event) && context.decided + 1 === context.numThresholds,
    needsNoPacking: ({ context }) => !context.packs,
    allReturned: ({ context }) => context.returned + 1 === context.numAnswers,
  },
}).createMachine({
  id: 'gate',
  context: ({ input }) => ({
    ...input,
    step: 0,
    attempt: 0,
    version: 0,
    microbatch: 0,
    mode: 'train' as const,
    slot: 0,
    last: false,
    returned: 0,
    nominated: 0,
    decided: 0,
  }),
  initial: 'idle',
  on: {
    'attempt.abandon': { target: '.idle', actions: 'abandon' },
    'forward.run': { actions: 'setAside' },
    'backward.run': { actions: 'setAside' },
    'choice.candidates': { guard: 'sharesGroups', actions: 'setAsideChoices' },
    'choice.thresholds': { guard: 'sharesGroups', actions: 'setAsideChoices' },
  },
  states: {
    /** One pass at a time: what came for another meanwhile is taken up now. */
    idle: {
      entry: 'takeUp',
      on: {
        'forward.run': [
          { guard: 'choosesItself', target: 'scoring', actions: assign(({ event }) => passOf(event)) },
          { guard: 'sharesGroups', target: 'nominating', actions: assign(({ event }) => passOf(event)) },
          { target: 'planning', actions: assign(({ event }) => passOf(event)) },
        ],
        'backward.run': {
          target: 'weighing',
          actions: assign(({ event }) => ({ ...passOf(event), last: event.body.last })),
        },
      },
    },
    /** Logits for a gate that chooses on its own. */
    scoring: { entry: 'score', on: { 'logits.computed': { target: 'planning' } } },
    /** Candidates of the sequences here, for those who decide. */
    nominating: {
      entry: 'nominate',
      on: {
        'candidates.computed': [
          { guard: 'needsNoCandidates', target: 'deciding', actions: 'sendCandidates' },
          { target: 'awaitingCandidates', actions: 'sendCandidates' },
        ],
      },
    },
    /** Of the positions that are decided here; what came early is looked at again. */
    awaitingCandidates: {
      entry: [assign({ nominated: 0 }), 'takeUpChoices'],
      on: {
        'choice.candidates': [
          { guard: 'completesCandidates', target: 'deciding', actions: 'acceptCandidates' },
          {
            guard: 'isOfPass',
            actions: ['acceptCandidates', assign({ nominated: ({ context }) => context.nominated + 1 })],
          },
        ],
      },
    },
    deciding: {
      entry: 'decide',
      on: {
        'thresholds.decided': [
          { guard: 'needsNoThresholds', target: 'planningChosen', actions: 'sendThresholds' },
          { target: 'awaitingThresholds', actions: 'sendThresholds' },
        ],
      },
    },
    awaitingThresholds: {
      entry: [assign({ decided: 0 }), 'takeUpChoices'],
      on: {
        'choice.thresholds': [
          { guard: 'completesThresholds', target: 'planningChosen', actions: 'acceptThresholds' },
          {
            guard: 'isOfPass',
            actions: ['acceptThresholds', assign({ decided: ({ context }) => context.decided + 1 })],
          },
        ],
      },
    },
    planningChosen: {
      entry: 'routeChosen',
      on: {
        'routing.planned': [
          { guard: 'needsNoPacking', target: 'awaitingRows', actions: 'dispatch' },
          { target: 'packing' },
        ],
      },
    },
    planning: {
      entry: 'route',
      on: {
        'routing.planned': [
          { guard: 'needsNoPacking', target: 'awaitingRows', actions: 'dispatch' },
          { target: 'packing' },
        ],
      },
    },
    packing: { entry: 'pack', on: { 'tokens.packed': { target: 'awaitingRows', actions: 'dispatch' } } },
    awaitingRows: {
      entry: assign({ returned: 0 }),
      on: {
        'rows.return': [
          { guard: 'allReturned', target: 'combining', actions: 'acceptRows' },
          { actions: ['acceptRows', assign({ returned: ({ context }) => context.returned + 1 })] },
        ],
      },
    },
    combining: { entry: 'combine', on: { 'outputs.combined': { target: 'idle', actions: 'finishForward' } } },
    weighing: {
      entry: 'weigh',
      on: { 'gradients.packed': { target: 'awaitingGradients', actions: 'dispatchGradients' } },
    },
    awaitingGradients: {
      entry: assign({ returned: 0 }),
      on: {
        'gradients.return': [
          { guard: 'allReturned', target: 'finishing', actions: 'acceptGradients' },
          { actions: ['acceptGradients', assign({ returned: ({ context }) => context.returned + 1 })] },
        ],
      },
    },
    finishing: {
      entry: 'backward',
      on: { 'gate.backwarded': { target: 'idle', actions: 'finishBackward' } },
    },
  },
});
