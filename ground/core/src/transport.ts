import type { NodeId } from './ids.ts';
import type { TroupeError } from './errors.ts';

/** Heartbeats and decisions never wait behind a tensor: two lanes per pair of nodes, each ordered on its own. */
export type Lane = 'control' | 'data';

/**
 * What a transport carries: opaque bytes for it. `header` is an encoded header of `@troupe/wire`, frames are raw tensors.
 *
 * The sender must not change a frame's bytes until `sent` is called (a resolved ZeroMQ send means queued, not sent). The receiver
 * owns what it gets; frames may be views of external memory and are to be copied or dropped soon.
 */
export interface Packet {
  readonly header: Uint8Array;
  readonly frames: readonly Uint8Array[];
}

export type PeerEvent =
  | { readonly type: 'peer.up'; readonly node: NodeId; readonly incarnation: number }
  | { readonly type: 'peer.goodbye'; readonly node: NodeId; readonly incarnation: number }
  | {
      readonly type: 'peer.lost';
      readonly node: NodeId;
      readonly incarnation: number;
      readonly reason: string;
    }
  /** What waits for a node has waited for `afterMs`, and no way to it was found; it is looked for further. */
  | {
      readonly type: 'peer.unreached';
      readonly node: NodeId;
      /** Of the life that was heard last; 0: of none. */
      readonly incarnation: number;
      readonly afterMs: number;
      readonly tried: string;
    };

export interface TransportStats {
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly messagesSent: number;
  readonly messagesReceived: number;
  /** Refused or damaged packets that were dropped: wrong checksum, unknown version, stale incarnation, too large. */
  readonly packetsRefused: number;
}

export interface Transport {
  readonly node: NodeId;
  readonly incarnation: number;
  /**
   * Queues a packet. Order is kept per (lane, destination). Never blocks: what exceeds the byte credit waits in the
   * sender's queue, which the caller keeps bounded by its own credits.
   *
   * @param sent - called once the receiver has taken the packet (its credit came back): its frames may be reused
   * @throws {TroupeError} TROUPE_TRANSPORT_UNKNOWN_PEER, TROUPE_TRANSPORT_CLOSED, TROUPE_TRANSPORT_OVERSIZE
   */
  send(to: NodeId, lane: Lane, packet: Packet, sent?: (error: TroupeError | null) => void): void;
  /** The one receiver. A handler that throws is a bug and ends the transport. `release` returns the packet's credit to its sender. */
  onPacket(handler: (from: NodeId, lane: Lane, packet: Packet, release: () => void) => void): void;
  onPeer(handler: (event: PeerEvent) => void): void;
  stats(): TransportStats;
  /** Bytes queued here and not yet taken, by destination; for metrics and tests of back-pressure. */
  queuedBytes(to: NodeId): number;
  /** Says goodbye to every peer, lets what is queued leave within `deadlineMs`, then closes. */
  close(deadlineMs: number): Promise<void>;
}
