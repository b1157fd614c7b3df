import type { Address, NodeId, Packet } from '@troupe/core';
import type { Completion, Device, KernelCall } from '@troupe/kernel-set';
import type { Message } from '@troupe/wire';
import type { ActorEvent, MessageFields } from './actor.ts';
import type { Turn } from './turn.ts';
import type { Wait } from './waits.ts';

/** A list of kernels that an actor queued, and what became of it. */
export interface ProbedList {
  readonly owner: Address;
  readonly device: Device;
  readonly calls: readonly KernelCall[];
  /** Step, layer and microbatch that the actor gave it. */
  readonly fields: MessageFields;
  /** What `submitted` returned. */
  readonly submittedMs: number;
  readonly completion: Completion;
}

/**
 * Sees what one node does with its time, at the moment it happens; the clock is the probe's own. Calls come on the event loop, never one
 * inside another but for `sending` … `sent` and the rest of a turn inside `turnBegins` … `turnEnded`.
 *
 * It must not throw and must not send: with it or without it, a run computes and says the same.
 */
export interface Probe {
  turnBegins(): void;
  turnEnded(turn: Turn): void;
  /** A message is about to leave for another node. */
  sending(): void;
  sent(message: Message, to: NodeId, packet: Packet): void;
  /** A packet of another node is about to be read. */
  receiving(): void;
  /** It became `event` in the mailbox of `to`. */
  received(from: NodeId, to: Address, packet: Packet, event: ActorEvent): void;
  /** @returns now, milliseconds */
  submitted(): number;
  /** The completion is here; the arrays of the calls still hold what these computed. */
  completed(list: ProbedList): void;
  waitBegan(wait: Omit<Wait, 'sinceMs'>): void;
  waitEnded(owner: Address, name: string): void;
}
