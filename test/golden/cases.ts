import type { GoldenCase, GoldenRun, GoldenSet } from './golden-case.ts';
import { noisyGate, residualExpert } from './own-rules.ts';

interface Layout {
  readonly dp: number;
  readonly ep: number;
  readonly zero?: 0 | 1;
  readonly microbatches?: number;
  readonly set?: readonly string[];
}

const run = (
  { dp, ep, zero = 1, microbatches = 1, set = [] }: Layout,
  over: GoldenRun['over'] = 'memory',
): GoldenRun => ({
  name: [`dp ${dp} ep ${ep} zero ${zero} microbatches ${microbatches}`, ...set, over].join(', '),
  over,
  set: [
    `parallel={dp: ${dp}, ep: ${ep}, zero: ${zero}}`,
    `train.microbatches=${microbatches}`,
    `machines=[{host: localhost, devices: [${Array.from({ length: dp }, (_, index) => `"cpu:${index}"`).join(', ')}]}]`,
    ...set,
  ],
});

/** (data-parallel, expert-parallel) of one model on one to four devices, with each way of keeping and of cutting a step. */
const layouts: readonly GoldenRun[] = (
  [
    [1, 1],
    [2, 1],
    [2, 2],
    [4, 2],
    [4, 4],
  ] as const
).flatMap(([dp, ep]) =>
  ([0, 1] as const).flatMap((zero) => [1, 2].map((microbatches) => run({ dp, ep, zero, microbatches }))),
);

/** Without those that keep all state on every worker, but for one. */
const sharded: readonly GoldenRun[] = layouts.filter(
  ({ set: [parallel = ''] }) => parallel.includes('zero: 1') || parallel.includes('dp: 4, ep: 2'),
);

/** Exchanges in levels, state kept twice, the steps of another layout before, virtual time, and a loss. */
const detours: readonly GoldenRun[] = [
  run({ dp: 8, ep: 4, set: ['wire.fanout=2'] }),
  run({ dp: 8, ep: 1, zero: 0, set: ['wire.fanout=4'] }),
  run({ dp: 4, ep: 2, set: ['recovery.buddies=true'] }),
  run({ dp: 2, ep: 2 }, 'resumed'),
  run({ dp: 4, ep: 2, zero: 0, microbatches: 2 }, 'resumed'),
  run({ dp: 2, ep: 2 }, 'simulated'),
  run({ dp: 4, ep: 2, zero: 0 }, 'simulated'),
  run({ dp: 2, ep: 2, set: ['recovery.buddies=true'] }, 'struck'),
  run({ dp: 2, ep: 1, zero: 0 }, 'struck'),
];

const processes: readonly GoldenRun[] = [run({ dp: 1, ep: 1 }, 'ZeroMQ'), run({ dp: 2, ep: 2 }, 'ZeroMQ')];

const few: readonly GoldenRun[] = [run({ dp: 1, ep: 1, zero: 0 }), run({ dp: 4, ep: 2, microbatches: 2 })];
const one: readonly GoldenRun[] = [run({ dp: 2, ep: 2 })];

/** Every choice that a model and a schedule have today, each beside the model of `tiny.yaml`. */
const variants: Readonly<Record<string, readonly string[]>> = {
  skewed: ['model.moe.router.choice=skewed'],
  balanced: ['model.moe.router.choice=balanced'],
  'top 1': ['model.moe.topK=1'],
  'top 3, not renormalised': ['model.moe.topK=3', 'model.moe.router.renormalise=false'],
  'shared experts': ['model.moe.sharedExperts=2', 'model.moe.granularity=2', 'model.moe.experts=8'],
  'experts in every other layer': ['model.moe.every=2'],
  'no experts': ['model.moe=null'],
  'balance of the whole batch': ['model.moe.balance.scope=global'],
  'balance of all layers': ['model.moe.balance.scope=global', 'model.moe.balance.layers=pooled'],
  'balance of two grains': ['model.moe.balance={scope: domain, domain: 2}'],
  'random tokens dropped': [
    'model.moe.capacity={train: 1, min: 1}',
    'model.moe.router={sampling: second, jitter: 0.1}',
  ],
  'least probable tokens dropped': [
    'model.moe.topK=3',
    'model.moe.capacity={train: 0.75, min: 1, drop: probability, weights: chosen}',
  ],
  'no balance': ['model.moe.balance={auxLoss: 0, zLoss: 0}'],
  'tied head': ['model.tiedHead=true'],
  'layer norm': ['model.norm=layer', 'model.normEps=1e-3'],
  'query norm of a head': ['model.qkNorm=head', 'model.kvHeads=1'],
  'query norm of the width': ['model.qkNorm=full', 'model.headDim=12'],
  rope: ['model.rope.theta=500', 'model.init={scale: 0.5, embedding: 0.1}'],
  gelu: ['model.ffn.kind=gelu'],
  'gelu-tanh': ['model.ffn.kind=gelu-tanh'],
  relu: ['model.ffn.kind=relu'],
  'linear schedule': [
    'train.optimizer={schedule: linear, warmup: 0.4, lrMin: 1e-4, weightDecay: 0, clip: 0.1, betas: [0.8, 0.9]}',
    'train.batch=16',
  ],
};

/** Nobody shares the experts of a model without; the balance of a whole batch is not known while one of its microbatches is computed. */
const otherRuns: Readonly<Record<string, readonly GoldenRun[]>> = {
  'no experts': [run({ dp: 2, ep: 1, zero: 0 }), run({ dp: 4, ep: 1, microbatches: 2 })],
  'balance of the whole batch': [run({ dp: 1, ep: 1, zero: 0 }), run({ dp: 4, ep: 2 })],
  'balance of all layers': [run({ dp: 1, ep: 1, zero: 0 }), run({ dp: 4, ep: 2 })],
  // Domains lie within a replica's microbatch.
  'balance of two grains': [run({ dp: 1, ep: 1, zero: 0 }), run({ dp: 2, ep: 2, microbatches: 2 })],
  'random tokens dropped': [
    run({ dp: 1, ep: 1, zero: 0 }),
    run({ dp: 4, ep: 2, microbatches: 2 }),
    run({ dp: 2, ep: 2 }, 'resumed'),
    run({ dp: 2, ep: 2 }, 'simulated'),
    run({ dp: 2, ep: 2, set: ['recovery.buddies=true'] }, 'struck'),
  ],
};

const variantCases = (runs: readonly GoldenRun[], names = Object.keys(variants)): readonly GoldenCase[] =>
  names.map((name) => ({ name, set: variants[name] ?? [], runs: otherRuns[name] ?? runs }));

/** Sigmoid scores of groups of experts with a bias, behind a dense layer: what DeepSeek-V3 has. */
const balancedByBias = (runs: readonly GoldenRun[]): GoldenCase => ({
  name: 'routing as DeepSeek-V3',
  set: [
    'model.layers=3',
    'model.moe={firstDense: 1, experts: 4, topK: 2, granularity: 2, sharedExperts: 1, router: {scores: sigmoid, groups: 2, topGroups: 1, scale: 2.5}, balance: {auxLoss: 1e-3, zLoss: 0, bias: 0.01}}',
  ],
  runs,
});

/** Experts that choose among the tokens of the same position, in groups that two replicas share. */
const choosingExperts = (runs: readonly GoldenRun[]): GoldenCase => ({
  name: 'experts choose',
  set: [
    'model.moe={experts: 4, granularity: 2, norm: true, router: {kind: expert-choice, groupSequences: 4, renormalise: false}, balance: {auxLoss: 0, zLoss: 0.001}}',
  ],
  runs,
});

/** Two streams, both with experts, that restore what noise took. */
const encoderAndDecoder = (runs: readonly GoldenRun[]): GoldenCase => ({
  name: 'encoder and decoder',
  set: [
    'model.vocab=384',
    'model.layers=4',
    'model.encoder={layers: 2, seqLen: 16}',
    'model.moe.every=2',
    'data.jsonl=null',
    'data.parallel=[{kind: jsonl-text, language: en, file: test/fixtures/checkpoint-0.1/trees.jsonl}]',
    'data.tasks=[{kind: denoising, noise: [spans]}]',
  ],
  runs,
});

/** With what a loss and a resumption must bring back. */
const withDetours: readonly GoldenRun[] = [
  ...few,
  run({ dp: 4, ep: 2, set: ['recovery.buddies=true'] }),
  run({ dp: 2, ep: 2 }, 'resumed'),
  run({ dp: 4, ep: 2, zero: 0, microbatches: 2 }, 'resumed'),
  run({ dp: 2, ep: 2 }, 'simulated'),
  run({ dp: 2, ep: 2, set: ['recovery.buddies=true'] }, 'struck'),
  run({ dp: 2, ep: 1, zero: 0 }, 'struck'),
];

const ownRules = (runs: readonly GoldenRun[]): GoldenCase => ({
  name: 'own gate and expert',
  set: [],
  runs,
  rules: { gate: noisyGate, expert: residualExpert },
});

const learned = (runs: readonly GoldenRun[]): GoldenCase => ({ name: 'learned', set: [], runs });

/** A file each. */
export const goldenSets: readonly GoldenSet[] = [
  {
    body: 'native',
    precision: 'f32',
    cases: [
      learned([...layouts, ...detours, ...processes]),
      ...variantCases(few),
      ownRules(few),
      balancedByBias(withDetours),
      choosingExperts(withDetours),
      encoderAndDecoder(withDetours),
    ],
  },
  {
    body: 'native',
    precision: 'bf16',
    cases: [
      learned([...sharded, run({ dp: 2, ep: 2 }, 'resumed'), run({ dp: 2, ep: 2 }, 'ZeroMQ')]),
      ...variantCases(one),
      ...[ownRules, choosingExperts, encoderAndDecoder].map((each) => each(one)),
    ],
  },
  {
    body: 'reference',
    precision: 'f32',
    cases: [
      learned([...sharded, ...detours]),
      ...variantCases(one),
      ...[ownRules, balancedByBias, choosingExperts, encoderAndDecoder].map((each) => each(one)),
    ],
  },
  {
    body: 'reference',
    precision: 'bf16',
    cases: [learned(few), ...variantCases(one, ['skewed', 'shared experts', 'tied head'])],
  },
  {
    body: 'tfjs',
    precision: 'f32',
    cases: [learned(few), ...variantCases(one, ['skewed', 'shared experts', 'tied head', 'gelu'])],
  },
];
