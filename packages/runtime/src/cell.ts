import type { Address } from '@troupe/core';
import type { AnyMachineSnapshot } from 'xstate';
import type { ActorEvent, Behaviour, Mount, Supervision } from './actor.ts';
import type { Mailbox } from './mailbox.ts';
import type { PureMachine } from './pure-machine.ts';

/** Where an actor lives in its system: what outlasts its lives, and the present one. */
export interface Cell {
  readonly address: Address;
  readonly mount: Mount;
  readonly supervision: Supervision;
  readonly mailbox: Mailbox<{ readonly event: ActorEvent; readonly release?: () => void }>;
  incarnation: number;
  /** False between two lives. */
  isAlive: boolean;
  behaviour: Behaviour;
  machine: PureMachine;
  snapshot: AnyMachineSnapshot;
  queued: boolean;
  restartsMs: number[];
  readonly timers: Map<string, number>;
}

/** `serving`, or `serving.forwarding` for a state within a state. */
export const stateName = (snapshot: AnyMachineSnapshot): string => nameOf(snapshot.value);

/** `serving.forwarding`: our machines have no parallel states, so each level names one below. */
function nameOf(value: AnyMachineSnapshot['value']): string {
  if (typeof value === 'string') return value;
  const [name = ''] = Object.keys(value);
  return `${name}.${nameOf(value[name] ?? '')}`;
}
