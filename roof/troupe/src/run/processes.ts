import type { NodeId } from '@troupe/core';
import type { ProgramSystem } from '@troupe/actors';
import type { WorkerRank } from '@troupe/topology/worker';

/** Told of a life of a node that ended without being asked to. */
export type ExitHandler = (node: NodeId, incarnation: number, reason: string) => void;

/** What is known of a machine that is away. */
export interface Whereabouts {
  /** Nothing of the run is left there. */
  readonly hasEnded: boolean;
  /** Why it did not come back; null: nobody heard. */
  readonly reason: string | null;
}

/**
 * The processes of a run: this one with the lead, an agent a machine, and one for each worker.
 *
 * A port. Its bodies are forked processes and those of other machines (`launch`), parts of this process (`startCluster`) and a simulated cluster (`simulate`); a
 * {@link Run} is the same over each.
 */
export interface Processes {
  /** The system of the lead's present life, which is in this process. It has no actors yet and does not listen. */
  readonly lead: ProgramSystem;
  /** A lost agent can begin another life. */
  readonly restartsAgents: boolean;
  /** Then any machine may be lost; otherwise the store is with the first one's agent. */
  readonly storeIsBesideLead: boolean;
  /**
   * Begins a later life of the lead; it listens when `begun` has mounted its actors. What is left of the one before may still run: others
   * hear it no more. Absent: a run ends with its lead.
   */
  readonly beginLead?: (life: number, begun: (system: ProgramSystem) => void) => void;
  /**
   * Begins a life of the agent of a machine, once what is left of the one before has ended; it listens when its actors are mounted.
   *
   * @param incarnation - from 1, whose `begun` is called at once
   * @param begun - mounts them, where the agent is in this process; another one mounts its own
   */
  beginAgent(machine: number, incarnation: number, begun: (system: ProgramSystem) => void): void;
  /** The system of the present life of an agent, which hears of the ends of its machine's processes. */
  agentOf(machine: number): ProgramSystem;
  /**
   * Begins a life of a worker, when its agent is there: its device, its data, its actors. What is left of the life before it ends first; of two that were
   * asked for before the first is up, the later one comes.
   *
   * @param incarnation - from 1; a later life joins a run that goes on, and says so
   */
  begin(worker: WorkerRank, incarnation: number): void;
  /** Absent: nothing is known of machines that are away. */
  readonly whereabouts?: (machine: number) => Whereabouts;
  /** Stops all actors, ends all processes, and resolves when nothing of them is left. */
  end(): Promise<void>;
  /** Sets who hears of exits; those before it are told now. */
  onExit(handler: ExitHandler): void;
}
