import type { ConfigPath, ConfigTable, ModelConfig, PathsOf } from '@troupe/spec';
import test from 'ava';
import { resolveTopology } from './resolve.ts';
import { planTopology } from './plan/plan.ts';
import type { ResolvedTopology } from './resolved.ts';
import { diffTrajectory, trajectoryKeys } from './trajectory.ts';

/** Figures of a plan that follow from the model. */
type Figure = 'parameters' | 'flops' | 'memory' | 'traffic';

/**
 * Which figures of a plan each setting of a model changes: what `plan` has decided about it. A setting that is added to
 * `ModelConfig` does not compile until it is here, and the test below holds the formulas to it.
 */
const planDecisions: ConfigTable<readonly Figure[]> = {
  vocab: ['parameters', 'flops', 'memory', 'traffic'],
  layers: ['parameters', 'flops', 'memory', 'traffic'],
  dModel: ['parameters', 'flops', 'memory', 'traffic'],
  heads: ['parameters', 'flops', 'memory', 'traffic'],
  kvHeads: ['parameters', 'flops', 'memory', 'traffic'],
  headDim: ['parameters', 'flops', 'memory', 'traffic'],
  encoder: ['parameters', 'flops', 'memory', 'traffic'],
  'encoder.layers': ['parameters', 'flops', 'memory', 'traffic'],
  'encoder.seqLen': ['flops', 'memory', 'traffic'],
  positions: ['memory'],
  mla: ['parameters', 'flops', 'memory', 'traffic'],
  'mla.qRank': ['parameters', 'flops', 'memory', 'traffic'],
  'mla.kvRank': ['parameters', 'flops', 'memory', 'traffic'],
  'mla.nopeDim': ['parameters', 'flops', 'memory', 'traffic'],
  'mla.ropeDim': ['parameters', 'flops', 'memory', 'traffic'],
  'mla.valueDim': ['parameters', 'flops', 'memory', 'traffic'],
  seqLen: ['flops', 'memory', 'traffic'],
  // A norm's bias lies in what is padding without it.
  'norm.kind': ['parameters', 'memory'],
  'norm.eps': [],
  qkNorm: ['parameters', 'memory', 'traffic'],
  'rope.theta': [],
  // Of another kind of positions.
  'relative.buckets': [],
  'relative.maxDistance': [],
  tiedHead: ['parameters', 'memory', 'traffic'],
  'init.scale': [],
  'init.embedding': [],
  'ffn.activation': ['parameters', 'flops', 'memory', 'traffic'],
  'ffn.dFf': ['parameters', 'flops', 'memory', 'traffic'],
  moe: ['parameters', 'flops', 'memory', 'traffic'],
  'moe.every': ['parameters', 'flops', 'memory', 'traffic'],
  'moe.firstDense': ['parameters', 'flops', 'memory', 'traffic'],
  'moe.experts': ['parameters', 'flops', 'memory', 'traffic'],
  'moe.topK': ['parameters', 'flops', 'memory', 'traffic'],
  'moe.dExpert': ['parameters', 'flops', 'memory', 'traffic'],
  'moe.sharedExperts': ['parameters', 'flops', 'memory', 'traffic'],
  // Room for what experts compare, and a place for every expert; which experts of a rank a token visits.
  'moe.router.kind': ['memory', 'traffic'],
  'moe.router.scores': [],
  'moe.router.groups': [],
  'moe.router.topGroups': [],
  'moe.router.scale': [],
  'moe.router.groupSequences': [],
  // Thresholds are of experts that choose.
  'moe.router.generate': [],
  'moe.router.sampling': [],
  // The jittered input is kept.
  'moe.router.jitter': ['memory'],
  // The choices that are kept, beside all of them.
  'moe.capacity.train': ['memory'],
  'moe.capacity.eval': ['memory'],
  'moe.capacity.min': [],
  'moe.capacity.drop': [],
  'moe.capacity.weights': [],
  'moe.norm': ['parameters', 'memory', 'traffic'],
  'moe.renormalise': [],
  'moe.choice': [],
  'moe.balance.auxLoss': [],
  'moe.balance.zLoss': [],
  'moe.balance.scope': ['memory'],
  'moe.balance.domain': [],
  'moe.balance.layers': [],
  'moe.balance.bias': ['parameters', 'memory', 'traffic'],
  'moe.expertParameters': ['parameters', 'flops', 'memory', 'traffic'],
};

// A model with one setting more: a table without it is no table of decisions any more. If one of these compiles, the directive
// above it is an error.
interface WiderModel extends ModelConfig {
  readonly unheardOf: number;
}
interface WiderMoe extends Omit<ModelConfig, 'moe'> {
  readonly moe: (NonNullable<ModelConfig['moe']> & { readonly router: { readonly entropy: number } }) | null;
}
// @ts-expect-error Property 'unheardOf' is missing
const noDecision: Readonly<Record<PathsOf<WiderModel>, unknown>> = planDecisions;
// @ts-expect-error Property 'moe.router.entropy' is missing
const noNestedDecision: Readonly<Record<PathsOf<WiderMoe>, unknown>> = trajectoryKeys;

/** Another value of each setting, which some model may have. */
const others: ConfigTable<unknown> = {
  vocab: 1000,
  layers: 6,
  dModel: 64,
  heads: 8,
  kvHeads: 2,
  headDim: 16,
  encoder: { layers: 2, seqLen: 32 },
  'encoder.layers': 1,
  'encoder.seqLen': 16,
  positions: 'sinusoidal',
  mla: { qRank: 16, kvRank: 8, nopeDim: 6, ropeDim: 2, valueDim: 8 },
  'mla.qRank': 24,
  'mla.kvRank': 12,
  'mla.nopeDim': 16,
  'mla.ropeDim': 4,
  'mla.valueDim': 16,
  seqLen: 64,
  'norm.kind': 'layer',
  'norm.eps': 1e-6,
  qkNorm: 'head',
  'rope.theta': 500,
  'relative.buckets': 16,
  'relative.maxDistance': 64,
  tiedHead: true,
  'init.scale': 2,
  'init.embedding': 0.5,
  'ffn.activation': 'gelu',
  'ffn.dFf': 256,
  moe: null,
  'moe.every': 1,
  'moe.firstDense': 2,
  'moe.experts': 16,
  'moe.topK': 4,
  'moe.dExpert': 32,
  'moe.sharedExperts': 1,
  'moe.router.kind': 'expert-choice',
  'moe.router.scores': 'sigmoid',
  'moe.router.groups': 2,
  'moe.router.topGroups': 3,
  'moe.router.scale': 2.5,
  'moe.router.groupSequences': 2,
  'moe.router.generate': 'thresholds',
  'moe.router.sampling': 'second',
  'moe.router.jitter': 0.1,
  'moe.capacity.train': 1.25,
  'moe.capacity.eval': 2,
  'moe.capacity.min': 1,
  'moe.capacity.drop': 'position',
  'moe.capacity.weights': 'chosen',
  'moe.norm': true,
  'moe.renormalise': false,
  'moe.choice': 'balanced',
  'moe.balance.auxLoss': 0.5,
  'moe.balance.zLoss': 0.5,
  'moe.balance.scope': 'global',
  'moe.balance.domain': 2,
  'moe.balance.layers': 'pooled',
  'moe.balance.bias': 0.001,
  'moe.expertParameters': [{ name: 'up', shape: [300, 32] }],
};
/** Values of keys of the file that are not those of the setting. */
const fileValues: Partial<Record<ConfigPath, unknown>> = { 'moe.dExpert': 2 };

type Tree = Readonly<Record<string, unknown>>;

/** A copy of `tree` with another value at a dotted path. */
function withValue(tree: Tree, path: string, value: unknown): Tree {
  const [name = '', ...rest] = path.split('.');
  if (rest.length === 0) return { ...tree, [name]: value };
  return { ...tree, [name]: withValue(tree[name] as Tree, rest.join('.'), value) };
}

const file = {
  troupe: 1,
  name: 'settings',
  model: {
    vocab: 512,
    layers: 4,
    dModel: 32,
    heads: 4,
    kvHeads: 4,
    seqLen: 32,
    init: { embedding: 1 },
    ffn: { dFf: 128 },
    moe: { every: 2, experts: 8, router: { groups: 4, topGroups: 2, groupSequences: 4 } },
  },
  data: { synthetic: 'zipf' },
  train: { batch: 8 },
  // Experts travel, and have replicas.
  parallel: { dp: 4, ep: 2 },
} as const;
const topology: ResolvedTopology = resolveTopology(file);
/** With a latent mixer, whose settings another model does not have. */
const latentFile = {
  ...file,
  model: { ...file.model, mla: { qRank: 20, kvRank: 10, nopeDim: 6, ropeDim: 2, valueDim: 8 } },
};
const latent: ResolvedTopology = resolveTopology(latentFile);
/** With an encoder, whose settings another model does not have. */
const encoderFile = { ...file, model: { ...file.model, encoder: { layers: 2, seqLen: 24 } } };
const encoding: ResolvedTopology = resolveTopology(encoderFile);
/** Without groups of experts, from which experts cannot choose, and of which no choice is drawn. */
const choiceFile = {
  ...file,
  model: { ...file.model, moe: { ...file.model.moe, router: { groupSequences: 8 } } },
};
/** A file that may have another value of a setting. */
function ofKind(
  path: ConfigPath,
): readonly [typeof file | typeof latentFile | typeof choiceFile | typeof encoderFile, ResolvedTopology] {
  if (isLatent(path)) return [latentFile, latent];
  if (isOfEncoder(path)) return [encoderFile, encoding];
  return path === 'moe.router.kind' || path === 'moe.router.sampling'
    ? [choiceFile, resolveTopology(choiceFile)]
    : [file, topology];
}
const isLatent = (path: ConfigPath): boolean => path.startsWith('mla.');
const isOfEncoder = (path: ConfigPath): boolean => path.startsWith('encoder.');
const paths = Object.keys(planDecisions) as ConfigPath[];

function figures(each: ResolvedTopology): Readonly<Record<Figure, string>> {
  const { parameters, flopsPerStep, memory, traffic } = planTopology(each);
  return {
    parameters: JSON.stringify(parameters),
    flops: String(flopsPerStep),
    memory: JSON.stringify(memory),
    traffic: JSON.stringify(traffic.perDevice),
  };
}

test('plan: every setting of the model changes the figures that were decided for it, and no other', (t) => {
  const known = new Map([topology, latent, encoding].map((each) => [each, figures(each)]));
  for (const path of paths) {
    const base = isLatent(path) ? latent : isOfEncoder(path) ? encoding : topology;
    const before = known.get(base)!;
    // Heads of latent attention are as wide as their two parts.
    const given = withValue(base.model as unknown as Tree, path, others[path]) as unknown as ModelConfig;
    const { mla } = given;
    const model = mla === null ? given : { ...given, headDim: mla.nopeDim + mla.ropeDim };
    const after = figures({ ...base, model });
    const changed = (Object.keys(before) as Figure[]).filter((figure) => before[figure] !== after[figure]);
    t.deepEqual(changed, planDecisions[path], path);
  }
});

test('trajectory: another value of any setting of the model is refused on resume', (t) => {
  for (const path of paths) {
    const key = trajectoryKeys[path];
    if (key === null) continue;
    const [from, base] = ofKind(path);
    const model = withValue(from.model, key, fileValues[path] ?? others[path]);
    const found = diffTrajectory(base, resolveTopology({ ...file, model, parallel: { dp: 4 } })).map(
      (each) => each.key,
    );
    t.true(
      found.some((each) => each === `model.${key}` || each.startsWith(`model.${key}.`)),
      `${path}: ${found.join(', ')}`,
    );
  }
  t.truthy(noDecision);
  t.truthy(noNestedDecision);
});
