import type { OptimizerKind } from '@troupe/spec';

/** What differs between the models of mixtures. */
export interface ModelChoice {
  readonly tiedHead?: boolean;
  readonly sharedExperts?: number;
  readonly scope?: 'sequence' | 'domain' | 'global';
  /** Grains of a balance domain; default 1. */
  readonly domain?: number;
  /** Experts drop what is over this factor; default: nothing. */
  readonly capacity?: number;
  /** Experts of a token; default 2. */
  readonly topK?: number;
  /** Default 4. */
  readonly layers?: number;
  /** Default: every second layer has experts. */
  readonly every?: number;
  /** Dense layers at the beginning; default: none. */
  readonly firstDense?: number;
  /** Width of an expert; default: half of a dense one's. */
  readonly dExpert?: number;
  /** Of the layers, and what its sequences hold; default: none. */
  readonly encoder?: { readonly layers: number; readonly seqLen: number };
  /** Default: turned queries and keys. */
  readonly positions?: 't5';
  /** Of the loss; default: none. */
  readonly labelSmoothing?: number;
  readonly vocab?: number;
  readonly kvHeads?: number;
  /** Of what routed experts add; default: none. */
  readonly norm?: boolean;
  /** Experts choose tokens of groups of so many sequences; default: tokens choose. */
  readonly groupSequences?: number;
  /** Step of loss-free balancing; default: none. */
  readonly bias?: number;
  /** Other scores, groups of experts and a scale, or choices that are drawn by a jittered router; default: softmax. */
  readonly router?: {
    readonly scores?: 'sigmoid';
    readonly groups?: number;
    readonly topGroups?: number;
    readonly scale?: number;
    readonly sampling?: 'second';
    readonly jitter?: number;
  };
}

export type ModelName =
  | 'plain'
  | 'tied'
  | 'shared'
  | 'global'
  | 'late'
  | 'prime'
  | 'normed'
  | 'choice'
  | 'biased'
  | 'encoder'
  | 'translating'
  | 'relative'
  | 'dropping'
  | 'domain';

/** Models of mixtures; each is trained by one process too, to compare with. */
export const models: Readonly<Record<ModelName, ModelChoice>> = {
  plain: {},
  tied: { tiedHead: true },
  shared: { sharedExperts: 1 },
  global: { scope: 'global' },
  /** Experts in the last of six layers alone, so that the other stages have none. */
  late: { layers: 6, every: 6 },
  /** A vocabulary that nothing divides, and key/value heads that fewer tensor ranks have. */
  prime: { vocab: 61, kvHeads: 2 },
  /** Random tokens are dropped, after a second choice that is drawn by a jittered router. */
  dropping: { capacity: 1, router: { sampling: 'second', jitter: 0.1 } },
  /** Experts are balanced over two grains together. */
  domain: { scope: 'domain', domain: 2 },
  /** A norm of what routed experts add, beside a shared one. */
  normed: { sharedExperts: 1, norm: true },
  /** Experts choose, among tokens of several replicas in most mixtures. */
  choice: { groupSequences: 6 },
  /** An encoder of as many layers as the decoder, whose sequences are shorter. */
  encoder: { encoder: { layers: 2, seqLen: 3 } },
  /** A deeper encoder of longer sequences, experts that drop, one choice a token, a tied table, which both streams and the head read. */
  translating: {
    layers: 6,
    encoder: { layers: 4, seqLen: 6 },
    topK: 1,
    tiedHead: true,
    capacity: 1,
    labelSmoothing: 0.1,
  },
  /** Two tables of biases by distance, one of them of three blocks. */
  relative: { layers: 5, encoder: { layers: 3, seqLen: 6 }, positions: 't5' },
  /** As DeepSeek's: a dense layer first, narrow experts beside a shared one, three groups of two of which a token keeps two. */
  biased: {
    every: 1,
    firstDense: 1,
    dExpert: 12,
    sharedExperts: 1,
    router: { scores: 'sigmoid', groups: 3, topGroups: 2, scale: 2.5 },
    bias: 0.01,
  },
};

/**
 * Models with mixtures of their own: a norm of small sums makes the last bits of tensor ranks large, and so does a choice that these decide, or a
 * bias that follows choices.
 */
const notDrawn: ReadonlySet<ModelName> = new Set([
  'normed',
  'choice',
  'biased',
  'encoder',
  'translating',
  'relative',
]);

/** Models that the table draws. */
export const drawnModels = (Object.keys(models) as ModelName[]).filter((name) => !notDrawn.has(name));

/** The ways to divide work, and the values of each that the table mixes. */
export const factors = {
  pp: [1, 2, 3],
  dp: [1, 2, 3, 6],
  tp: [1, 2, 4],
  ep: [1, 2, 3, 6],
  zero: [0, 1, 2, 3],
  offload: ['none', 'optimizer'],
  pipeline: ['1f1b', 'gpipe', 'interleaved', 'zero-bubble'],
  microbatches: [1, 2, 3, 6],
  recompute: ['none', 'layer'],
  experts: ['contiguous', 'by hand', 'balanced'],
  rankOrder: ['ep-inner', 'edp-inner'],
  /** Experts are divided over tensor ranks. */
  sliced: [true, false],
  /** Copies of the experts on workers without a stage; 0: they lie beside stages. */
  apart: [0, 1, 2],
} as const;

export type FactorName = keyof typeof factors;
export const factorNames = Object.keys(factors) as readonly FactorName[];

/** One way to divide the training of one model. */
export type Mixture = { readonly [F in FactorName]: (typeof factors)[F][number] } & {
  readonly model: ModelName;
  /** With 1, tensor ranks come close to the numbers of one process; with more they reach them. */
  readonly segments: 1 | 4;
  readonly precision: 'f32' | 'bf16';
  /** How rows go to experts elsewhere: a microbatch's at once (default), or a few grains at a time. */
  readonly rows?: 'whole' | 'chunks';
  /** Default: adamw. */
  readonly optimizer?: OptimizerKind;
};

/** Nothing is divided. */
export const undivided = {
  pp: 1,
  dp: 1,
  tp: 1,
  ep: 1,
  zero: 0,
  offload: 'none',
  pipeline: '1f1b',
  microbatches: 1,
  recompute: 'none',
  experts: 'contiguous',
  rankOrder: 'ep-inner',
  sliced: true,
  apart: 0,
  rows: 'whole',
} as const satisfies Partial<Mixture>;

/** What most mixtures that are written by hand are. */
export const usual = {
  ...undivided,
  model: 'plain',
  segments: 1,
  precision: 'f32',
} as const satisfies Mixture;

export const NUM_EXPERTS = 6;
/** Sequences of a step, and its grains: every number of replicas and microbatches of the table divides them. */
export const BATCH = 36;

export const layersOf = ({ model }: Pick<Mixture, 'model'>): number => models[model].layers ?? 4;

/** Workers that hold a stage, and those that have experts and none. */
export const stageWorkersOf = ({ pp, dp, tp }: Pick<Mixture, 'pp' | 'dp' | 'tp'>): number => pp * dp * tp;
export const worldOf = (mixture: Pick<Mixture, 'pp' | 'dp' | 'tp' | 'ep' | 'apart'>): number =>
  stageWorkersOf(mixture) + mixture.apart * mixture.ep;

/** Axes of more than one rank. */
export const axesOf = ({ pp, dp, tp }: Mixture): number => [pp, dp, tp].filter((size) => size > 1).length;

/** Whether a mixture reaches the numbers of one process bit for bit. */
export const isExact = ({ tp, segments }: Mixture): boolean => tp === 1 || segments > 1;

type Rule = (mixture: Partial<Mixture>) => boolean;

/** True as long as not all of the keys are decided, then what the rule says. */
const rule =
  <K extends keyof Mixture>(keys: readonly K[], holds: (mixture: Pick<Mixture, K>) => boolean): Rule =>
  (mixture) =>
    keys.some((key) => mixture[key] === undefined) || holds(mixture as Pick<Mixture, K>);

const rules: readonly Rule[] = [
  rule(['dp', 'ep', 'apart'], ({ dp, ep, apart }) => apart > 0 || dp % ep === 0),
  rule(['dp', 'tp', 'apart'], ({ dp, tp, apart }) => apart <= dp * tp),
  rule(['tp', 'apart', 'sliced'], ({ tp, apart, sliced }) => !(tp > 1 && apart > 0 && sliced)),
  rule(['dp', 'microbatches'], ({ dp, microbatches }) => BATCH % (dp * microbatches) === 0),
  rule(
    ['pp', 'pipeline', 'microbatches'],
    ({ pp, pipeline, microbatches }) => pipeline !== 'interleaved' || microbatches % pp === 0,
  ),
  rule(
    ['pp', 'pipeline', 'model'],
    ({ pp, pipeline, model }) => pipeline !== 'interleaved' || 2 * pp <= layersOf({ model }),
  ),
  rule(
    ['pipeline', 'microbatches', 'model'],
    ({ pipeline, microbatches, model }) =>
      models[model].scope !== 'global' || microbatches === 1 || pipeline === 'gpipe',
  ),
  rule(
    ['dp', 'microbatches', 'model'],
    ({ dp, microbatches, model }) => (BATCH / (dp * microbatches)) % (models[model].domain ?? 1) === 0,
  ),
  rule(['model', 'segments'], ({ model, segments }) => model !== 'prime' || segments === 1),
];

/** No rule between its keys forbids a mixture, as far as it is decided. */
export const isLegal = (mixture: Partial<Mixture>): boolean => rules.every((holds) => holds(mixture));

/** `pp2 dp3 tp2 ep3 zero2 gpipe m6 …`: everything that is not the default. */
export function nameOf(mixture: Mixture): string {
  const { pp, dp, tp, ep, zero, offload, pipeline, microbatches, recompute, experts, rankOrder } = mixture;
  return [
    `pp${pp} dp${dp} tp${tp} ep${ep} zero${zero}`,
    ...(offload === 'none' ? [] : ['offload']),
    `${pipeline} m${microbatches}`,
    ...(recompute === 'none' ? [] : ['recompute']),
    ...(experts === 'contiguous' ? [] : [experts]),
    ...(rankOrder === 'ep-inner' ? [] : [rankOrder]),
    ...(mixture.sliced ? [] : ['whole']),
    ...(mixture.apart === 0 ? [] : [`apart${mixture.apart}`]),
    ...(mixture.rows === 'chunks' ? ['chunks'] : []),
    `${mixture.model}${mixture.segments === 1 ? '' : ` s${mixture.segments}`} ${mixture.precision}`,
    ...(mixture.optimizer === undefined ? [] : [mixture.optimizer]),
  ].join(' ');
}
