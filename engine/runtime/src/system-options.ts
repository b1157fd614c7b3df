import type { Address, Clock, Logger, NodeId, HostArray, Transport, TroupeError } from '@troupe/core';
import type { Codec } from '@troupe/wire';
import type { Directory } from './directory.ts';
import type { Shapes } from './message-shape.ts';
import type { Probe } from './probe.ts';
import type { Turn } from './turn.ts';
import type { Wait } from './waits.ts';

/** Events that may wait for one actor. */
export const MAILBOX_CAPACITY = 4096;

/** The ports of one node, and what its actors say. */
export interface SystemOptions {
  readonly node: NodeId;
  readonly transport: Transport;
  readonly codec: Codec;
  /** The shape of every kind of message that actors here send or get. */
  readonly messages: Shapes;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly directory: Directory;
  /** Runs a function soon, never synchronously; in a simulation the virtual clock. */
  readonly schedule: (run: () => void) => void;
  /** A failure that supervision does not absorb. */
  readonly onFailure: (error: TroupeError, address: Address) => void;
  /** A wait whose deadline passed, with its sentence. */
  readonly onStuck: (error: TroupeError, wait: Wait) => void;
  readonly observe?: (turn: Turn) => void;
  /** Default {@link MAILBOX_CAPACITY}. */
  readonly mailboxCapacity?: number;
  /** Times everything, for a profile; absent: nothing is timed. */
  readonly probe?: Probe;
  /** Frees the memory of received arrays that an actor has done with; default: left to the collector. */
  readonly free?: (arrays: readonly HostArray[]) => void;
}
