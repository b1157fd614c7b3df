import type { Address, NodeId } from '@troupe/core';
import type { ActorEvent } from './actor.ts';

/** What an observer sees of one turn: enough for a dashboard, a trace hash and a hang report. */
export interface Turn {
  readonly node: NodeId;
  readonly address: Address;
  readonly incarnation: number;
  readonly event: ActorEvent;
  readonly outcome: 'handled' | 'refused' | 'fenced';
  readonly stateBefore: string;
  readonly stateAfter: string;
  /** Events that wait behind this one. */
  readonly mailboxSize: number;
}

export interface ActorStatus {
  readonly address: Address;
  readonly incarnation: number;
  readonly state: string;
  readonly mailboxSize: number;
}
