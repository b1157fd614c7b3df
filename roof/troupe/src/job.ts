import { parametersOf, type Deadlines, type ExpertRule, type GateRule, type Job } from '@troupe/actors';
import { NotBuiltError, type TroupeError } from '@troupe/core';
import type { BatchSource } from '@troupe/data';
import { expertsChoose, type ModelConfig } from '@troupe/spec';
import {
  formatProblem,
  Layout,
  learningRate,
  refuseUnbuilt,
  type ResolvedTopology,
} from '@troupe/topology/worker';
import { optimizerSettings } from './optimizer-settings.ts';

/** What a run decides beyond its topology. Plain numbers, so that it travels to worker processes. */
export interface RunChoices {
  /** Step at which this run ends; default: the schedule's last. */
  readonly stopAfter: number;
  /** Step and optimizer clock of the checkpoint it goes on from; zeros for a fresh start. */
  readonly first: Job['first'];
  readonly evaluationSequences: number;
  /** Default: train. */
  readonly purpose?: Job['purpose'];
  /** False: this run writes no checkpoints. */
  readonly checkpoints: boolean;
  /** Machines share a disk, and each writes its part of a checkpoint there. */
  readonly parts?: boolean;
}

export const defaultDeadlines: Deadlines = {
  stepMs: 600_000,
  loadMs: 600_000,
  checkpointMs: 600_000,
  joinMs: 120_000,
  recoveryMs: 300_000,
};

/** For how long a lost machine is waited for, milliseconds; null: machines are not lost alone, or the recovery of one has no wait of its own. */
export const machineWaitMs = ({ launcher, recovery }: ResolvedTopology): number | null =>
  launcher === null && recovery.machines === 'wait' ? null : 1000 * recovery.waitSeconds;

/** Machines that are lost are waited for, and only then does a recovery take too long. */
function deadlinesOf(topology: ResolvedTopology): Deadlines {
  const waitMs = machineWaitMs(topology);
  if (waitMs === null) return defaultDeadlines;
  const { joinMs, recoveryMs } = defaultDeadlines;
  return { ...defaultDeadlines, joinMs: joinMs + waitMs, recoveryMs: recoveryMs + waitMs };
}

/** Losses that a run makes good, as its supervisor takes them. */
export const lossLimit = ({ recovery }: ResolvedTopology): { intensity: number; periodMs: number } => ({
  intensity: recovery.losses,
  periodMs: recovery.withinSeconds * 1000,
});

/** Held-out sequences that an evaluation of this topology reads. */
export function evaluationSequences(topology: ResolvedTopology, source: BatchSource): number {
  const { batches } = topology.eval;
  return batches === 'all'
    ? source.numEvalSequences
    : Math.min(source.numEvalSequences, batches * topology.train.batch);
}

/** What a topology is run on: real devices, simulated ones, or simulated ones without arithmetic. */
export type Use = NonNullable<Parameters<typeof refuseUnbuilt>[1]>;

/**
 * The job that a topology describes.
 *
 * @throws {NotBuiltError} TROUPE_NOT_BUILT naming every value that is planned but cannot run yet
 */
export function jobOf(
  topology: ResolvedTopology,
  choices: RunChoices,
  rules: { readonly gate?: GateRule; readonly expert?: ExpertRule } = {},
  use: Use = 'launch',
): Job {
  refuse(topology, use);
  refuseDraws(topology, rules.gate);
  const { train } = topology;
  refuseGate(topology, rules.gate);
  const model = withExpert(topology, rules.expert);
  return {
    model,
    layout: new Layout({ ...topology, model }),
    precision: train.precision,
    recompute: train.recompute,
    labelSmoothing: train.labelSmoothing,
    tensorSegments: train.tensorSegments,
    rowFormat: topology.wire.dtype,
    ...(choices.purpose === undefined ? {} : { purpose: choices.purpose }),
    steps: train.steps,
    stopAfter: choices.stopAfter,
    seed: train.seed,
    optimizer: optimizerSettings(train.optimizer),
    learningRate: (step) => learningRate(train, step),
    evaluateEvery: topology.eval.every,
    evaluationSequences: choices.evaluationSequences,
    checkpointEvery: choices.checkpoints ? topology.checkpoint.every : -1,
    ...(choices.parts === true ? { parts: true } : {}),
    ...dealing(topology),
    first: choices.first,
    deadlines: deadlinesOf(topology),
    maxSkipped: train.maxSkipped,
    restartsFromBeginning: topology.recovery.fromStart,
    ...rules,
  };
}

/** An own gate says which experts a token chooses. */
function refuseGate({ model }: ResolvedTopology, gate: GateRule | undefined): void {
  if (gate === undefined || model.moe === null || !expertsChoose(model.moe)) return;
  throw new NotBuiltError(
    `the gate '${gate.name}' in a model whose experts choose`,
    'an own gate chooses experts for tokens: set model.moe.router.kind token-choice',
  );
}

/** An own gate makes the choices that the router would draw. */
function refuseDraws({ model }: ResolvedTopology, gate: GateRule | undefined): void {
  const sampling = model.moe?.router.sampling ?? 'none';
  if (gate === undefined || sampling === 'none') return;
  throw new NotBuiltError(
    `the gate '${gate.name}' with model.moe.router.sampling ${sampling}`,
    'an own gate chooses by itself: set sampling none, and draw in the gate',
  );
}

/** The model with the parameters of an own expert. */
function withExpert(
  { model, train, parallel }: ResolvedTopology,
  expert: ExpertRule | undefined,
): ModelConfig {
  if (expert === undefined || model.moe === null) return model;
  if (train.tensorSegments > 1 || (parallel.tp > 1 && parallel.expertsSliced))
    throw new NotBuiltError(
      `the expert '${expert.name}' cut into parts`,
      'set parallel.expertsSliced false and train.tensorSegments 1: own experts are whole',
    );
  const expertParameters = parametersOf(expert, { dim: model.dModel, hidden: model.moe.dExpert });
  if (expertParameters === null) return model;
  return { ...model, moe: { ...model.moe, expertParameters } };
}

/** Experts are dealt by load where there are groups to deal them to. */
const dealing = ({ parallel }: ResolvedTopology): Pick<Job, 'dealEvery'> =>
  parallel.experts === 'balanced' && parallel.ep > 1 ? { dealEvery: parallel.rebalanceEvery } : {};

/** Says everything at once that a topology asks for and that does not run yet. */
function refuse(topology: ResolvedTopology, use: Use): void {
  const problems = refuseUnbuilt(topology, use);
  if (problems.length > 0) throw notBuilt(problems.map(formatProblem));
}

const notBuilt = (messages: readonly string[]): TroupeError =>
  new NotBuiltError(`this topology: ${messages.join('; ')}`, 'see the README for what runs today');
