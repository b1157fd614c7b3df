import type { Clock, Lane, Logger, NodeId, Packet, PeerEvent } from '@troupe/core';
import type { Push } from 'zeromq';
import type { RefusedError } from './errors.ts';
import type { Prologue } from './framing.ts';
import type { Endpoints, Place } from './hello.ts';
import type { CreditBytes } from './limits.ts';

/** Who takes the messages of a session. */
export interface Routed {
  /** @throws {GarbageError} when it is refused */
  onMessage(prologue: Prologue, parts: readonly Uint8Array[]): void;
  onViolation(problem: string): void;
}

/** What a link needs of the transport it belongs to. */
export interface LinkHost {
  readonly node: NodeId;
  readonly incarnation: number;
  /** Which run it belongs to; empty: it does not say. */
  readonly run: string;
  /** Under CURVE its public key. */
  readonly key?: string;
  /** Where this node listens. */
  readonly endpoints: Endpoints;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What this node takes per lane. */
  readonly creditBytes: CreditBytes;
  readonly maxFrameBytes: number;
  readonly redialMs: number;
  readonly giveUpMs: number;
  readonly tryMs: number;
  readonly refusedMs: number;
  /** Endpoints of a node as the topology says. */
  readonly resolve: (node: NodeId) => Endpoints | undefined;
  /** @throws {EndpointError | InsecureTransportError} for a place that must not be connected to */
  readonly check: (place: Place, node: NodeId) => void;
  /** Sockets to the place use CURVE. */
  readonly isSecured: (place: Place) => boolean;
  /** A hello with the proof that this node wrote it, for a place whose sockets use CURVE. */
  readonly seal: (hello: Uint8Array, node: NodeId) => Uint8Array;
  readonly open: (lane: Lane, place: Place, node: NodeId) => Push;
  readonly emit: (event: PeerEvent) => void;
  /** Wherever the peer may be, this node is refused. */
  readonly refused: (error: RefusedError) => void;
  readonly deliver: (from: NodeId, lane: Lane, packet: Packet, release: () => void) => void;
  readonly counted: (direction: 'sent' | 'received', bytes: number) => void;
  /** From now on messages with `token` are for `link`, or for nobody. */
  readonly route: (token: number, link: Routed | undefined) => void;
  /** Something that a close may wait for has happened. */
  readonly progress: () => void;
}
