import type { NodeId } from '@troupe/core';
import type { ProgramSystem } from '@troupe/actors';
import type { WorkerRank } from '@troupe/topology/worker';

/** Told of a life of a node that ended without being asked to. */
export type ExitHandler = (node: NodeId, incarnation: number, reason: string) => void;

/**
 * The processes of a run: this one with its agent, and one for each worker.
 *
 * A port. Its bodies are forked processes (`launch`), parts of this process (`startCluster`) and a simulated cluster (`simulate`); a
 * {@link Run} is the same over each.
 */
export interface Processes {
  /** The system of the agent's node, which is in this process. It has no actors yet and does not listen. */
  readonly agent: ProgramSystem;
  /**
   * Begins a life of a worker: its device, its data, its actors. What is left of the life before it ends first; of two that were
   * asked for before the first is up, the later one comes.
   *
   * @param incarnation - from 1; a later life joins a run that goes on, and says so
   */
  begin(worker: WorkerRank, incarnation: number): void;
  /** Stops all actors, ends all processes, and resolves when nothing of them is left. */
  end(): Promise<void>;
  /** Sets who hears of exits; those before it are told now. */
  onExit(handler: ExitHandler): void;
}
