import type { AgentLine, LeadLine } from './agent-protocol.ts';

/** Comes first from an agent that dials: who it is, for people. Which machine it speaks for its key has proved. */
export interface DialLine {
  readonly type: 'dial';
  readonly machine: number;
  /** Machines of the run, as it was told. */
  readonly of: number;
  readonly hostname: string;
  readonly pid: number;
}

/** Lead → agent that has dialled. */
export type ToDialed =
  | LeadLine
  | { readonly type: 'ping' }
  /** It has no place in the run. */
  | { readonly type: 'refused'; readonly exitCode: number; readonly reason: string }
  /** The run has ended, and so does whoever belongs to it. */
  | { readonly type: 'over'; readonly exitCode: number };

/** Agent that dials → lead. */
export type FromDialed =
  | AgentLine
  | DialLine
  | { readonly type: 'pong' }
  /** Why it ends, before it does. */
  | { readonly type: 'ending'; readonly reason: string };
