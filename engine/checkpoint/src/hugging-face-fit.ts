import { routerNames, type ConfigTable, type ModelConfig, type MoeConfig } from '@troupe/spec';
import { CheckpointUnsupportedError } from './errors.ts';
import { huggingFaceClasses, huggingFaceKinds, type HuggingFaceKind } from './hugging-face-class.ts';

/** What keeps one setting from being said by an architecture, by our names; null: nothing. */
type Fit = (config: ModelConfig, moe: MoeConfig, kind: HuggingFaceKind) => string | null;

/** `config.json` has a key for it, or the shapes of the tensors say it. */
const written: Fit = () => null;
/** Only matters to somebody who trains on; `configToHuggingFace` notes what is lost. */
const trainsOnly: Fit = () => null;
/** Only matters before the first step. */
const startsOnly: Fit = () => null;

/** Architectures know these values of it alone. */
const oneOf =
  <Value>(
    name: string,
    found: (config: ModelConfig, moe: MoeConfig) => Value,
    values: readonly Value[],
  ): Fit =>
  (config, moe) =>
    values.includes(found(config, moe))
      ? null
      : `${name} is ${String(found(config, moe))}, not ${values.join(' or ')}`;

/** Architectures have one value of it, which no key of `config.json` changes. */
const only = <Value>(
  name: string,
  found: (config: ModelConfig, moe: MoeConfig) => Value,
  value: Value,
): Fit => oneOf(name, found, [value]);

const qkNorms = { mixtral: 'none', olmoe: 'full', qwen3_moe: 'head' } as const;

/** What the export has decided about every setting of a model; a new one does not compile until it is here. */
const exportDecisions: ConfigTable<Fit> = {
  vocab: written,
  layers: written,
  encoder: ({ encoder }) => (encoder === null ? null : 'it has an encoder'),
  'encoder.layers': written,
  'encoder.seqLen': written,
  positions: only('positions', ({ positions }) => positions, 'rotary'),
  dModel: written,
  heads: ({ heads, headDim, dModel }, _, kind) =>
    kind === 'olmoe' && heads * headDim !== dModel
      ? `heads · headDim is ${heads * headDim}, not dModel ${dModel}`
      : null,
  kvHeads: written,
  headDim: ({ headDim }) => (headDim % 2 === 0 ? null : `headDim is ${headDim}, not even`),
  mla: ({ mla }) => (mla === null ? null : 'attention goes through latents (mla)'),
  'mla.qRank': written,
  'mla.kvRank': written,
  'mla.nopeDim': written,
  'mla.ropeDim': written,
  'mla.valueDim': written,
  seqLen: written,
  'norm.kind': only('norm', ({ norm }) => norm.kind, 'rms'),
  'norm.eps': written,
  qkNorm: ({ qkNorm }, _, kind) =>
    qkNorm === qkNorms[kind] ? null : `qkNorm is ${qkNorm}, not ${qkNorms[kind]}`,
  'rope.theta': written,
  // Of other positions alone.
  'relative.buckets': written,
  'relative.maxDistance': written,
  tiedHead: written,
  'init.scale': startsOnly,
  'init.embedding': written,
  'ffn.activation': only('ffn', ({ ffn }) => ffn.activation, 'swiglu'),
  'ffn.dFf': written,
  moe: written,
  'moe.every': (_, { every }, kind) =>
    every === 1 || kind === 'qwen3_moe' ? null : `every is ${every}, not 1`,
  'moe.firstDense': only('firstDense', (_, moe) => moe.firstDense, 0),
  'moe.experts': written,
  'moe.topK': (_, { topK }, kind) => (kind === 'mixtral' && topK === 1 ? 'topK is 1, not above it' : null),
  'moe.dExpert': written,
  'moe.sharedExperts': only('sharedExperts', (_, moe) => moe.sharedExperts, 0),
  'moe.router.kind': oneOf('router.kind', (_, moe) => moe.router.kind, routerNames('kind', 'exported')),
  'moe.router.scores': oneOf(
    'router.scores',
    (_, moe) => moe.router.scores,
    routerNames('scores', 'exported'),
  ),
  'moe.router.groups': only('router.groups', (_, moe) => moe.router.groups, 1),
  'moe.router.topGroups': only('router.topGroups', (_, moe) => moe.router.topGroups, 1),
  'moe.router.scale': only('router.scale', (_, moe) => moe.router.scale, 1),
  // Of expert choice alone, which no architecture has.
  'moe.router.groupSequences': written,
  'moe.router.generate': written,
  'moe.router.sampling': oneOf(
    'router.sampling',
    (_, moe) => moe.router.sampling,
    routerNames('sampling', 'exported'),
  ),
  'moe.router.jitter': only('router.jitter', (_, moe) => moe.router.jitter, 0),
  'moe.capacity.train': only('capacity.train', (_, moe) => moe.capacity.train, 0),
  'moe.capacity.eval': only('capacity.eval', (_, moe) => moe.capacity.eval, 0),
  // Without a factor they mean nothing.
  'moe.capacity.min': trainsOnly,
  'moe.capacity.drop': trainsOnly,
  'moe.capacity.weights': trainsOnly,
  'moe.norm': only('moe.norm', (_, moe) => moe.norm, false),
  'moe.renormalise': (_, { renormalise, topK }, kind) =>
    kind === 'mixtral' && topK > 1 && !renormalise ? 'renormalise is false, not true' : null,
  'moe.choice': oneOf('router.choice', (_, moe) => moe.choice, routerNames('choice', 'exported')),
  'moe.balance.auxLoss': trainsOnly,
  'moe.balance.zLoss': trainsOnly,
  'moe.balance.scope': trainsOnly,
  'moe.balance.domain': trainsOnly,
  'moe.balance.layers': trainsOnly,
  'moe.balance.bias': only('balance.bias', (_, moe) => moe.balance.bias, 0),
  'moe.expertParameters': (_, { expertParameters }) =>
    expertParameters === undefined
      ? null
      : `experts have parameters of their own (${expertParameters.map(({ name }) => name).join(', ')})`,
};

/** What keeps a model from being one of an architecture; empty: nothing. */
function misfits(config: ModelConfig, kind: HuggingFaceKind): readonly string[] {
  const { moe } = config;
  if (moe === null) return ['it has no experts'];
  return Object.values(exportDecisions).flatMap((fit) => fit(config, moe, kind) ?? []);
}

/**
 * The architecture that a model is written as.
 *
 * @param as - the one asked for; default: the one that fits (no model fits two, since each has its own qkNorm)
 * @throws {CheckpointUnsupportedError} TROUPE_CHECKPOINT_UNSUPPORTED naming each setting that does not fit
 */
export function fittingKind(
  where: string,
  config: ModelConfig,
  as: HuggingFaceKind | undefined,
): HuggingFaceKind {
  const kinds = as === undefined ? huggingFaceKinds : [as];
  const fits = kinds.map((kind) => ({ kind, problems: misfits(config, kind) }));
  const found = fits.find(({ problems }) => problems.length === 0);
  if (found !== undefined) return found.kind;
  const reasons = fits.map(
    ({ kind, problems }) => `as ${huggingFaceClasses[kind].model} ${problems.join(', ')}`,
  );
  throw new CheckpointUnsupportedError(where, `the model cannot be written: ${reasons.join('; ')}`, {
    problems: fits.flatMap(({ problems }) => problems),
  });
}
