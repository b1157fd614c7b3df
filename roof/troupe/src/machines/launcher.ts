import type { AgentLink, AgentLinkHandlers, CommandEnd } from './agent-link.ts';

/** A program to start here, whose standard input and output reach an agent. */
export interface LauncherCommand {
  readonly file: string;
  readonly args: readonly string[];
  /** Variables beside those of this process. */
  readonly env?: Readonly<Record<string, string>>;
}

/** What starts an agent on a machine. */
export interface Launcher {
  readonly name: string;
  /** All machines of the run are this very one. */
  readonly isOneHost?: boolean;
  /**
   * @param machine - its index in the topology
   * @param host - its name there
   */
  command(machine: number, host: string): LauncherCommand;
  /** Whether this end of the command is that of the agent: nothing of the run is left on its machine then. Absent: nobody knows. */
  readonly isAgentsEnd?: (end: CommandEnd) => boolean;
  /**
   * Waits for the next life of an agent that something else starts; null: {@link command} starts it. A launcher without it starts all.
   *
   * @param waitMs - how long, before `ended` says that nobody came
   */
  awaitAgent?(machine: number, waitMs: number, handlers: AgentLinkHandlers): AgentLink | null;
}
