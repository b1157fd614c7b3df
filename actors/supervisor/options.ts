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

/** A machine that is away, and was waited for long enough or not yet. */
export interface AwayMachine {
  readonly machine: number;
  readonly isOverdue: boolean;
}

/** A machine as the supervisor knows it, by the node of its agent. */
export interface SupervisedMachine {
  readonly machine: number;
  /** Its workers and hosts. */
  readonly nodes: readonly NodeId[];
}

export interface SupervisorOptions {
  /** Nodes of the workers, with the actors that live there. */
  readonly workers: ReadonlyMap<NodeId, Supervised>;
  /** All machines; where the first has the store, a run does not go on without its agent. */
  readonly machines: ReadonlyMap<NodeId, SupervisedMachine>;
  /** A lost agent, but the first machine's, can begin another life. */
  readonly restartsAgents: boolean;
  /** That of the first machine too, since the store is not with it. Default false. */
  readonly restartsFirstAgent?: boolean;
  readonly failed: (failure: RunFailure) => void;
  /** What heartbeats have answered, a line an actor: its address, its state, how many events wait; absent: nobody looks. */
  readonly described?: (lines: readonly string[]) => void;
  /** Milliseconds between two looks at every worker. */
  readonly heartbeatMs: number;
  /** Milliseconds after which a silent worker is lost. */
  readonly silenceMs: number;
  /** Where the job stands: the last opened step. */
  readonly position: () => string;
  /** Milliseconds within which the next life of a worker must have joined. */
  readonly joinMs: number;
  /** Milliseconds for which a lost machine is waited for; absent: as long as its recovery may take. */
  readonly waitMs?: number;
  /** Told of all machines that are away whenever one of them was waited for long enough. */
  readonly overdue?: (away: readonly AwayMachine[]) => void;
  /** Losses tolerated per period; exceeding it ends the run. Intensity 0 tolerates none. */
  readonly limit: Pick<Supervision, 'intensity' | 'periodMs'>;
  /**
   * Ends what is left of a worker, or of an agent, and begins its next life, whose actors join the run; a worker's behind its agent's. It says `worker.joined` with `node` and
   * `incarnation` to the supervisor once they are mounted, or `worker.lost` when that fails.
   */
  readonly restart: (node: NodeId, incarnation: number) => void;
}
