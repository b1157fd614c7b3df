import { realpathSync } from 'node:fs';
import { parameterCounts } from '@troupe/spec';
import type { ResolvedTopology } from '@troupe/topology';
import { slurmBatchScript } from 'troupe/launch';
import { print, printJson } from '../output.ts';
import type { PodOptions } from './machine-options.ts';

/** How a run was asked for on the command line, for a job that asks the same later. */
export interface BatchOptions {
  /** File or preset, as typed. */
  readonly topology: string;
  /** Overrides, those of other options among them. */
  readonly set: readonly string[];
  readonly from: string | null;
  readonly runFolder: string;
  readonly stopAfter: number | null;
  readonly quiet: boolean;
  readonly logLevel: string;
  /** For launcher kubernetes. */
  readonly pods: PodOptions;
}

/** Bytes of a parameter in a checkpoint: itself and two moments, in f32. */
const BYTES_A_PARAMETER = 12;

/** Threads of all devices of the machine that has most. */
export const mostThreads = ({ machines }: ResolvedTopology): number =>
  Math.max(...machines.map(({ devices }) => devices.reduce((sum, { threads }) => sum + threads, 0)));

/** Bytes of a checkpoint. */
export const checkpointBytes = ({ model }: ResolvedTopology): number =>
  BYTES_A_PARAMETER * parameterCounts(model).total;

/** Further arguments of whatever runs the topology later. */
export const runWords = ({ stopAfter, quiet, logLevel }: BatchOptions): readonly string[] => [
  ...(stopAfter === null ? [] : ['--stop-after', String(stopAfter)]),
  ...(quiet ? ['--quiet'] : []),
  ...(logLevel === 'silent' ? [] : ['--log-level', logLevel]),
];

/** Prints the job of Slurm that runs a topology. */
export function printJob(topology: ResolvedTopology, batch: BatchOptions, asJson: boolean): void {
  const script = slurmBatchScript({
    name: topology.name,
    nodes: topology.machines.length + (topology.joining?.spares ?? 0),
    cpus: mostThreads(topology),
    checkpointBytes: checkpointBytes(topology),
    program: [process.execPath, realpathSync(process.argv[1] ?? '')],
    workdir: process.cwd(),
    topology: batch.topology,
    set: batch.set,
    from: batch.from,
    further: runWords(batch),
    runFolder: batch.runFolder,
  });
  if (asJson) printJson({ event: 'job', launcher: 'slurm', script });
  else print(script.trimEnd());
}
