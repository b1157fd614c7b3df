import type { AgentLine, LeadLine } from './agent-protocol.ts';

/** Longest line of an agent, in characters. */
export const agentLineMax = 1024 * 1024;

/** How a command has ended. */
export interface CommandEnd {
  readonly code: number | null;
  readonly signal: string | null;
}

export interface AgentLinkHandlers {
  readonly line: (line: AgentLine) => void;
  /** Once, unless it was killed or asked to leave: why, in one sentence, with the last lines that it printed. */
  readonly ended: (reason: string) => void;
  /** A line that it, its workers or its launcher have printed here. */
  readonly printed: (line: string) => void;
}

/** What the lead speaks with one life of an agent over. */
export interface AgentLink {
  /** How the command that started it here has ended; null: it has not, or none did. */
  readonly commandEnd: CommandEnd | null;
  send(line: LeadLine): void;
  /** Ends what is here of it, without waiting; what is there hears that its link has closed. */
  killNow(): void;
  kill(): Promise<void>;
  /** Asks the agent to leave, and ends what is left of it after `graceMs`. */
  end(graceMs: number): Promise<void>;
}
