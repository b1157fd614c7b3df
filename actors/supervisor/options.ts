import type { NodeId } from '@troupe/core';
import type { Supervision } from '@troupe/runtime';
import type { WorkerRank } from '@troupe/topology/layout';

/** Why a run cannot go on, in one sentence. */
export interface RunFailure {
  readonly kind: 'lost' | 'stuck' | 'failed';
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
}

/** A worker as its supervisor knows it. */
export interface Supervised {
  readonly worker: WorkerRank;
  readonly actors: readonly string[];
}

export interface SupervisorOptions {
  /** Nodes of the workers, with the actors that live there. */
  readonly workers: ReadonlyMap<NodeId, Supervised>;
  readonly failed: (failure: RunFailure) => void;
  /** Milliseconds between two looks at every worker. */
  readonly heartbeatMs: number;
  /** Milliseconds after which a silent worker is lost. */
  readonly silenceMs: number;
  /** Where the job stands: the last opened step. */
  readonly position: () => string;
  /** Milliseconds within which the next life of a worker must have joined. */
  readonly joinMs: number;
  /** Losses tolerated per period; exceeding it ends the run. Intensity 0 tolerates none. */
  readonly limit: Pick<Supervision, 'intensity' | 'periodMs'>;
  /**
   * Ends what is left of a worker and begins its next life, whose actors join the run. It says `worker.joined` with `node` and
   * `incarnation` to the supervisor once they are mounted, or `worker.lost` when that fails.
   */
  readonly restart: (node: NodeId, incarnation: number) => void;
}
