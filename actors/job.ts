import { assert } from '@troupe/core';
import type { Precision } from '@troupe/kernel-set';
import { moeLayers, type ExchangeLevel, type ModelConfig } from '@troupe/spec';
import type { ExpertRule } from './expert/rule.ts';
import type { GateRule } from './gate/rule.ts';

export interface AdamWSettings {
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  /** Largest gradient norm; 0 switches clipping off. */
  readonly clip: number;
}

/** Longest silences, milliseconds; each names what it bounds. */
export interface Deadlines {
  /** A step, from its opening to its commit. */
  readonly stepMs: number;
  /** Loading or initialising all parameters. */
  readonly loadMs: number;
  /** Writing one checkpoint. */
  readonly checkpointMs: number;
  /** From the word that a lost worker is restarted until its next life has joined; after that it is lost again. */
  readonly joinMs: number;
  /** From the loss of a worker until the step opens again. */
  readonly recoveryMs: number;
}

/** What the actors of one run have to know, the same on every node: no placement, no files, no sockets. */
export interface Job {
  readonly model: ModelConfig;
  readonly dp: number;
  readonly ep: number;
  readonly zero: 0 | 1;
  /** Levels in which the holders of a class exchange gradients and weights. */
  readonly exchange: Readonly<Record<ParameterClassName, readonly ExchangeLevel[]>>;
  /** Sequences of a global batch. */
  readonly batch: number;
  /** Grains of a global batch: the leaves of every sum over it. */
  readonly grains: number;
  readonly microbatches: number;
  /** Format of the products' operands; absent: f32. */
  readonly precision?: Precision;
  /** Steps of the schedule. */
  readonly steps: number;
  /** Step at which this run ends, at most `steps`. */
  readonly stopAfter: number;
  readonly seed: number;
  readonly optimizer: AdamWSettings;
  /** Learning rate of step t, from 1. */
  readonly learningRate: (step: number) => number;
  /** Steps between evaluations; 0: only at the end. */
  readonly evaluateEvery: number;
  /** Held-out sequences that an evaluation reads; 0: none. */
  readonly evaluationSequences: number;
  /** Steps between checkpoints; 0: only at the end; -1: never. */
  readonly checkpointEvery: number;
  /**
   * Step that the loaded checkpoint holds, 0 for a fresh start; also its optimizer clock. `from`: what the store reads of it, everything or
   * the weights alone, with moments of zero; default `checkpoint` above step 0, else `seed`: nothing, since weights are drawn.
   */
  readonly first: {
    readonly step: number;
    readonly adamClock: number;
    readonly from?: 'seed' | 'checkpoint' | 'weights';
  };
  readonly deadlines: Deadlines;
  /** Steps that are skipped one after the other until the run is given up; 0: never. */
  readonly maxSkipped: number;
  /** Without any snapshot a lost shard can only be drawn again, and the run begins anew from its first step. */
  readonly restartsFromBeginning: boolean;
  /** A shard whose state nobody else holds has a copy at the replica so many further on (`recovery.buddies`); absent or 0: none. */
  readonly buddyShift?: number;
  /** An own router; default: the model's. */
  readonly gate?: GateRule;
  /** An own expert; default: the model's FFN. */
  readonly expert?: ExpertRule;
}

/** Of a job, what says who holds which parameters. */
export type JobLayout = Pick<Job, 'model' | 'dp' | 'ep' | 'zero' | 'buddyShift'>;

export const layoutOf = ({ model, dp, ep, zero, buddyShift = 0 }: Job): JobLayout => ({
  model,
  dp,
  ep,
  zero,
  buddyShift,
});

/** Where the state of the first step comes from. */
export const firstSource = ({ first }: Job): 'seed' | 'checkpoint' | 'weights' =>
  first.from ?? (first.step > 0 ? 'checkpoint' : 'seed');

/** Sizes that follow from a job. */
export interface JobShape {
  readonly edp: number;
  /** Sequences and grains of one replica's microbatch. */
  readonly microbatchSequences: number;
  readonly microbatchGrains: number;
  readonly replicaSequences: number;
  readonly sequencesPerGrain: number;
  readonly expertsPerRank: number;
  readonly layers: readonly number[];
  /** Evaluation passes of one replica, each one microbatch long. */
  readonly evaluationPasses: number;
}

export function jobShape(job: Job): JobShape {
  const { dp, ep, batch, grains, microbatches } = job;
  assert(
    dp % ep === 0 && grains % (dp * microbatches) === 0 && batch % grains === 0,
    'the topology was validated',
    { dp, ep, batch, grains, microbatches },
  );
  const experts = job.model.moe?.experts ?? 0;
  assert(experts % ep === 0, 'the topology was validated', { experts, ep });
  const microbatchSequences = batch / (dp * microbatches);
  return {
    edp: dp / ep,
    microbatchSequences,
    microbatchGrains: grains / (dp * microbatches),
    replicaSequences: batch / dp,
    sequencesPerGrain: batch / grains,
    expertsPerRank: experts / ep,
    layers: moeLayers(job.model),
    evaluationPasses: Math.ceil(job.evaluationSequences / (microbatchSequences * dp)),
  };
}

export type ParameterClassName = 'dense' | 'expert';

/** The classes of parameters that every replica has a shard of. */
export const parameterClasses = ({ model }: Pick<Job, 'model'>): readonly ParameterClassName[] =>
  moeLayers(model).length === 0 ? ['dense'] : ['dense', 'expert'];

/** Expert-parallel coordinates of a replica: groups are contiguous, replicas of one expert strided (arXiv:2109.10465). */
export const expertRank = (
  job: Pick<Job, 'ep'>,
  dp: number,
): { readonly ep: number; readonly edp: number } => ({
  ep: dp % job.ep,
  edp: Math.floor(dp / job.ep),
});

/** The replicas of the expert-parallel group that `dp` belongs to, in rank order. */
export function expertGroup(job: Pick<Job, 'ep'>, dp: number): readonly number[] {
  const first = Math.floor(dp / job.ep) * job.ep;
  return Array.from({ length: job.ep }, (_, rank) => first + rank);
}

/** How many replicas hold the same parameters of a class. */
export const numClassPeers = (job: JobLayout, parameterClass: ParameterClassName): number =>
  parameterClass === 'dense' ? job.dp : job.dp / job.ep;

/** The replicas that hold the same parameters of a class: `first`, `first + stride`, …, among which one replica has a position. */
export interface Holders {
  readonly first: number;
  readonly stride: number;
  readonly position: number;
}

/** The holders of what replica `dp` has of a class; computed, since a list for every device would grow with the square of their number. */
export function holdersOf(job: JobLayout, parameterClass: ParameterClassName, dp: number): Holders {
  if (parameterClass === 'dense') return { first: 0, stride: 1, position: dp };
  const { ep, edp } = expertRank(job, dp);
  return { first: ep, stride: job.ep, position: edp };
}

/** The same as a list, in the order of their slices. */
export function classPeers(
  job: JobLayout,
  parameterClass: ParameterClassName,
  dp: number,
): readonly number[] {
  const { first, stride } = holdersOf(job, parameterClass, dp);
  return Array.from({ length: numClassPeers(job, parameterClass) }, (_, index) => first + stride * index);
}
