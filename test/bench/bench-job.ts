import { fileURLToPath } from 'node:url';
import { parameterCounts, trainingFlopsPerToken } from '@troupe/spec';
import { loadTopology, type ResolvedTopology } from '@troupe/topology';

export const jobNames = ['coarse', 'fine', 'wide'] as const;
export type JobName = (typeof jobNames)[number];
export type Precision = 'f32' | 'bf16';

/** Something to train, and the sizes that figures are divided by. */
export interface BenchJob {
  readonly name: JobName;
  readonly file: string;
  /** For `--set`: makes the job smaller. */
  readonly overrides: readonly string[];
  readonly topology: ResolvedTopology;
  readonly tokensPerStep: number;
  readonly flopsPerToken: number;
}

/** @param size - `small`: the same model with one layer and an eighth of the batch, to see that a bench runs */
export function benchJob(name: JobName, size: 'small' | 'full'): BenchJob {
  const file = fileURLToPath(new URL(`../../../test/bench/jobs/${name}.yaml`, import.meta.url));
  const overrides = size === 'full' ? [] : ['model.layers=1', 'train.batch=2', 'train.grains=2'];
  const topology = loadTopology(file, { set: overrides });
  const { model, train } = topology;
  return {
    name,
    file,
    overrides,
    topology,
    tokensPerStep: train.batch * model.seqLen,
    flopsPerToken: trainingFlopsPerToken(model),
  };
}

/** The job in the words of `peers/job.py`. */
export function jobForPython({ topology: { model, train } }: BenchJob): string {
  const { moe } = model;
  if (moe === null) throw new RangeError('found a model without experts, expected a job of test/bench/jobs');
  const { optimizer } = train;
  return JSON.stringify({
    vocab: model.vocab,
    layers: model.layers,
    dModel: model.dModel,
    heads: model.heads,
    seqLen: model.seqLen,
    experts: moe.experts,
    topK: moe.topK,
    dExpert: moe.dExpert,
    normEps: model.norm.eps,
    ropeTheta: model.rope.theta,
    batch: train.batch,
    numParams: parameterCounts(model).total,
    learningRate: optimizer.lr,
    betas: optimizer.betas,
    weightDecay: optimizer.weightDecay,
    clip: optimizer.clip,
    // Ours is of the sum over the layers, theirs of the mean.
    auxLoss: moe.balance.auxLoss * model.layers,
    seed: train.seed,
  });
}
