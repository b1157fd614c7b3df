import type { Address } from '@troupe/core';
import type { ActorEvent, Behaviour, Mount, Supervision } from './actor.ts';
import type { Mailbox } from './mailbox.ts';
import type { MachineSnapshot, PureMachine } from './pure-machine.ts';

/** Where an actor lives in its system: what outlasts its lives, and the present one. */
export interface Cell {
  readonly address: Address;
  readonly mount: Mount;
  readonly supervision: Supervision;
  readonly mailbox: Mailbox<{ readonly event: ActorEvent; readonly release: (() => void) | undefined }>;
  incarnation: number;
  /** False between two lives. */
  isAlive: boolean;
  behaviour: Behaviour;
  machine: PureMachine;
  snapshot: MachineSnapshot;
  queued: boolean;
  restartsMs: number[];
  readonly timers: Map<string, number>;
}
