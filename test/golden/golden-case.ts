import type { ClusterOptions } from 'troupe';

export type GoldenBody = 'reference' | 'native' | 'tfjs';
export type GoldenPrecision = 'f32' | 'bf16';

/** How the work of a run is cut and where it runs: nothing that may change a number. */
export interface GoldenRun {
  readonly name: string;
  /** Keys of the topology, as of `--set`. */
  readonly set: readonly string[];
  /**
   * `memory`: one process. `ZeroMQ`: a process a worker, as `troupe launch`. `simulated`: in virtual time, shuffled by a seed.
   * `resumed`: the first steps in one layout, the rest from their checkpoint in the run's own. `struck`: simulated, and a worker dies.
   */
  readonly over: 'memory' | 'ZeroMQ' | 'simulated' | 'resumed' | 'struck';
}

/** One model and schedule; all its runs give the same numbers. */
export interface GoldenCase {
  readonly name: string;
  readonly set: readonly string[];
  readonly runs: readonly GoldenRun[];
  readonly rules?: Pick<ClusterOptions, 'gate' | 'expert'>;
}

/** The cases of one file. */
export interface GoldenSet {
  readonly body: GoldenBody;
  readonly precision: GoldenPrecision;
  readonly cases: readonly GoldenCase[];
}
