import type { ModelConfig } from '@troupe/spec';
import { CheckpointUnsupportedError } from './errors.ts';
import { huggingFaceClasses, huggingFaceKinds, type HuggingFaceKind } from './hugging-face-class.ts';

/** What keeps a model from being one of an architecture, by our names; empty: nothing. */
function misfits(config: ModelConfig, kind: HuggingFaceKind): readonly string[] {
  const { moe } = config;
  if (moe === null) return ['it has no experts'];
  const qkNorm = { mixtral: 'none', olmoe: 'full', qwen3_moe: 'head' }[kind];
  const weightIsOne = kind === 'mixtral' && !(moe.renormalise && moe.topK > 1);
  const width = config.heads * config.headDim;
  const problems: readonly (readonly [boolean, string])[] = [
    [config.norm.kind !== 'rms', `norm is ${config.norm.kind}, not rms`],
    [config.qkNorm !== qkNorm, `qkNorm is ${config.qkNorm}, not ${qkNorm}`],
    [config.ffn.activation !== 'swiglu', `ffn is ${config.ffn.activation}, not swiglu`],
    [moe.sharedExperts > 0, `sharedExperts is ${moe.sharedExperts}, not 0`],
    [moe.choice !== 'learned', `router.choice is ${moe.choice}, not learned`],
    [moe.every !== 1 && kind !== 'qwen3_moe', `every is ${moe.every}, not 1`],
    [weightIsOne, moe.topK === 1 ? 'topK is 1, not above it' : 'renormalise is false, not true'],
    [kind === 'olmoe' && width !== config.dModel, `heads · headDim is ${width}, not dModel ${config.dModel}`],
    [config.headDim % 2 !== 0, `headDim is ${config.headDim}, not even`],
  ];
  return problems.filter(([isProblem]) => isProblem).map(([, problem]) => problem);
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
