import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { TroupeError } from '@troupe/core';
import type { LossCurve } from '@troupe/scaling';
import { trainingFlopsPerToken } from '@troupe/spec';
import { loadTopology, type ResolvedTopology } from '@troupe/topology';
import { openRun, RunMissingError } from 'troupe';
import { UsageError } from '../errors.ts';
import { readMetrics, type RunMetrics } from '../sweep/read-metrics.ts';

/** A run folder, as far as a comparison looks into it. */
export interface ComparedRun {
  readonly name: string;
  readonly folder: string;
  readonly metrics: RunMetrics;
  /** Of one update; null: the folder does not say which model it is. */
  readonly flopsPerUpdate: number | null;
  /** Why that is null, in a sentence. */
  readonly warning: string | null;
}

/** Steps whose loss is no number are left out: a curve goes on behind them. */
const isNumber = (loss: number | null): boolean => loss !== null && Number.isFinite(loss);

/** @throws {UsageError} TROUPE_USAGE for a folder without metrics */
async function readRun(folder: string, name: string): Promise<ComparedRun> {
  const path = join(folder, 'metrics.jsonl');
  if (!existsSync(path))
    throw new UsageError(
      `'${folder}' holds no metrics.jsonl; name the folder of a run whose topology has jsonl among its metrics`,
    );
  const metrics = readMetrics(path);
  try {
    const { model, train } = await topologyOf(folder);
    const flopsPerUpdate = trainingFlopsPerToken(model) * train.batch * model.seqLen;
    return { name, folder, metrics, flopsPerUpdate, warning: null };
  } catch (error) {
    if (!(error instanceof TroupeError)) throw error;
    const warning = `the FLOPs of ${name} are not known: ${error.message}`;
    return { name, folder, metrics, flopsPerUpdate: null, warning };
  }
}

/** Of the newest checkpoint; of a cell of a sweep, which keeps none, the file beside the folder. */
async function topologyOf(folder: string): Promise<ResolvedTopology> {
  try {
    const { topology, checkpoint } = await openRun(folder, { verify: 'lazy' });
    await checkpoint.close();
    return topology;
  } catch (error) {
    const beside = `${resolve(folder)}.yaml`;
    if (error instanceof RunMissingError && existsSync(beside)) return loadTopology(beside);
    throw error;
  }
}

/** Runs under the names of their folders; under their paths where two have one name. */
export function readComparedRuns(folders: readonly string[]): Promise<readonly ComparedRun[]> {
  const names = folders.map((folder) => basename(resolve(folder)));
  const isUnique = new Set(names).size === names.length;
  return Promise.all(
    folders.map((folder, index) => readRun(folder, isUnique ? (names[index] ?? folder) : folder)),
  );
}

/** Losses of training, a point a step. */
export function trainingCurve({ name, metrics, flopsPerUpdate }: ComparedRun): LossCurve {
  let tokens = 0;
  const points = inOrder(metrics.steps).flatMap(([updates, step]) => {
    tokens += step.tokens;
    const flops = flopsPerUpdate === null ? null : flopsPerUpdate * updates;
    return isNumber(step.loss) ? [{ updates, tokens, flops, loss: step.loss }] : [];
  });
  return { name, points };
}

/** Held-out losses, a point an evaluation. */
export function heldOutCurve({ name, metrics, flopsPerUpdate }: ComparedRun): LossCurve {
  const steps = inOrder(metrics.steps);
  const points = inOrder(metrics.evaluations).flatMap(([updates, { loss }]) => {
    const done = steps.filter(([step]) => step <= updates);
    const tokens = done.reduce((sum, [, step]) => sum + step.tokens, 0);
    const flops = flopsPerUpdate === null ? null : flopsPerUpdate * updates;
    return isNumber(loss) ? [{ updates, tokens, flops, loss }] : [];
  });
  return { name, points };
}

const inOrder = <T>(byStep: ReadonlyMap<number, T>): readonly (readonly [number, T])[] =>
  [...byStep].sort(([a], [b]) => a - b);
