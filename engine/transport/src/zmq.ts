import {
  assert,
  type Clock,
  type Lane,
  type Logger,
  type NodeId,
  type Packet,
  type PeerEvent,
  type Transport,
  type TransportStats,
} from '@troupe/core';
import { Context, Pull, Push, type Reply } from 'zeromq';
import type { CurveKeys } from './curve-keys.ts';
import { checkCurve, curveClient, curveServer, guardDoor } from './curve.ts';
import {
  bindEndpoint,
  named,
  checkEndpoint,
  guardIpc,
  isIpv6,
  offered,
  removeIpc,
  type Listen,
} from './endpoints.ts';
import {
  AddressInUseError,
  EndpointError,
  InsecureTransportError,
  TransportClosedError,
  UnknownPeerError,
  type RefusedError,
} from './errors.ts';
import { GarbageError, payloadOf, readPrologue } from './framing.ts';
import { Handlers, type PacketHandler } from './handlers.ts';
import { decodeHello, type Endpoints, type Hello, type Place } from './hello.ts';
import { Keyring, proofBytes } from './keyring.ts';
import { checkPacket, defaultCreditBytes, defaultMaxFrameBytes, lanes, type CreditBytes } from './limits.ts';
import type { LinkHost, Routed } from './link-host.ts';
import { Link } from './link.ts';
import type { Sent } from './outbox.ts';
import { readAll } from './sockets.ts';

/** Where the topology says a node listens; undefined when it does not know (yet). */
export type PeerResolver = (node: NodeId) => Endpoints | undefined;

export interface ZmqTransportOptions {
  readonly node: NodeId;
  readonly incarnation: number;
  /** Which run this node belongs to; it hears nobody of another one. Default: it does not say, and hears those who do not either. */
  readonly run?: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly listen: Listen;
  /** Default: knows nobody; peers that call first say themselves where they listen. */
  readonly peers?: PeerResolver;
  /** What this node lets each peer have on the way to it. Default 4 MiB control, 65 MiB data. */
  readonly creditBytes?: CreditBytes;
  /** Largest frame, bytes, up to 2^31 - 1. Default 1 GiB. A peer that sends more is disconnected. */
  readonly maxFrameBytes?: number;
  /** Pause before a lost peer is dialled again, milliseconds. Default 100. */
  readonly redialMs?: number;
  /** An unanswered attempt is given up after this, milliseconds; if something waits it is restarted, and `peer.unreached` is told. Default 30 000. */
  readonly giveUpMs?: number;
  /** A place of a peer that has several is left for the next one after this without a handshake, milliseconds, twice as long each round. Default 2000. */
  readonly tryMs?: number;
  /** A peer that refuses every handshake for this long is given up, milliseconds. Default 5000. */
  readonly refusedMs?: number;
  /** Between two heartbeats on the control lane, milliseconds. Default 1000; 0 turns them off (ZMQ_HEARTBEAT_IVL). */
  readonly heartbeatMs?: number;
  /** Silence after a heartbeat that loses the peer, milliseconds. Default 5000 (ZMQ_HEARTBEAT_TIMEOUT). */
  readonly lostMs?: number;
  /** Needed for TCP beyond loopback; used on every TCP endpoint when given. */
  readonly curve?: CurveKeys;
  /** A peer refuses this node, or is not who it should be; what waited for it has failed. Default: it is logged. */
  readonly onRefused?: (error: RefusedError) => void;
  /** Gets what a handler threw, after the transport has ended. Default: throws it into the process. */
  readonly onFatal?: (error: unknown) => void;
}

export interface ZmqTransport extends Transport {
  /** Where peers may try to connect: wildcards are resolved. */
  readonly endpoints: Endpoints;
  /** The topology changed: attempts at places that are no longer a node's are given up, links that are up stay. */
  setPeers(peers: PeerResolver): void;
}

/** Copied part of the largest legal batch; the library must let it pass however small `maxFrameBytes` is. */
const batchBytesMax = 8 * 1024 * 1024;

/** A connection that has not made its handshake by then is closed: it holds a descriptor, and may be nobody's. */
const HANDSHAKE_MS = 5000;

/**
 * Opens a transport over ZeroMQ: one bound PULL socket per lane, and per peer one connected PUSH socket per lane.
 *
 * Packets arrive in memory of the library: copy what is needed, then `release`, or the sender stalls when its credit is used up.
 * Liveness is that of the process, judged by connections and by heartbeats of the library's own thread: a peer that is busy in a long
 * synchronous call is alive.
 *
 * @throws {AddressInUseError} TROUPE_TRANSPORT_ADDRESS_IN_USE
 * @throws {InsecureTransportError} TROUPE_TRANSPORT_INSECURE for TCP beyond loopback without CURVE
 * @throws {EndpointError} TROUPE_TRANSPORT_ENDPOINT, e.g. an ipc path above 100 bytes
 */
export async function openZmqTransport(options: ZmqTransportOptions): Promise<ZmqTransport> {
  const { listen, curve, clock } = options;
  if (curve !== undefined) checkCurve(curve);
  const secured = curve !== undefined;
  const maxFrameBytes = options.maxFrameBytes ?? defaultMaxFrameBytes;
  assert(maxFrameBytes < 2 ** 31, 'maxFrameBytes fits 31 bits', { maxFrameBytes });
  const heartbeat = {
    heartbeatInterval: options.heartbeatMs ?? 1000,
    heartbeatTimeout: options.lostMs ?? 5000,
  };
  const context = new Context({ blocky: false });
  const isSecured = ({ control }: Place): boolean => curve !== undefined && control.startsWith('tcp://');

  /**
   * The control lane's queue has no mark, since a full one would stop heartbeats: credit bounds it. The data lane's has one, so that what
   * is read off the connection is still in a cache when it is looked at, in memory that was in use a moment before.
   */
  const pull = (lane: Lane): Pull =>
    new Pull({
      context,
      linger: 0,
      maxMessageSize: Math.max(maxFrameBytes, batchBytesMax),
      receiveHighWaterMark: lane === 'control' ? 0 : 8,
      handshakeInterval: HANDSHAKE_MS,
      ...(lane === 'control' ? { ...heartbeat, heartbeatTimeToLive: heartbeat.heartbeatTimeout } : {}),
      ...(curve !== undefined && listen.kind === 'tcp' ? curveServer(curve) : {}),
    });
  /** Without a mark: credit bounds what is on the way, and a writer that never waits for the socket costs no turns. */
  const push = (lane: Lane, place: Place, node: NodeId): Push =>
    new Push({
      context,
      linger: 0,
      sendHighWaterMark: 0,
      reconnectInterval: 50,
      reconnectMaxInterval: 1000,
      ...(lane === 'control' ? { ...heartbeat, heartbeatTimeToLive: heartbeat.heartbeatTimeout } : {}),
      ipv6: place.family === 6 || isIpv6(place[lane]),
      ...(curve !== undefined && isSecured(place) ? curveClient(curve, keyring?.keyOf(node) ?? '') : {}),
    });

  const keyring = curve === undefined ? undefined : new Keyring(curve);
  const door = keyring === undefined ? undefined : await guardDoor(context, keyring);
  const pulls = { control: pull('control'), data: pull('data') };
  const shut = (): void => {
    for (const lane of lanes) pulls[lane].close();
    door?.close();
  };
  const place = named(listen);
  try {
    const control = await bind(pulls.control, await bindEndpoint(place, 'control', secured));
    const data = await bind(pulls.data, await bindEndpoint(place, 'data', secured));
    const endpoints = offered(listen, { control, data });
    const check = (where: Place, node: NodeId): void => {
      for (const lane of lanes) checkEndpoint(where[lane], secured);
      if (isSecured(where) && keyring?.keyOf(node) === undefined)
        throw new InsecureTransportError(`node '${node}' at ${where.control}`, 'no key of it is known');
    };
    return new ZmqNode(
      { ...options, clock, maxFrameBytes },
      {
        pulls,
        door,
        keyring,
        isSealed: listen.kind === 'tcp',
        bound: [control, data],
        endpoints,
        push,
        check,
        isSecured,
      },
    );
  } catch (error) {
    shut();
    throw error;
  }
}

async function bind(socket: Pull, endpoint: string): Promise<string> {
  try {
    if (isIpv6(endpoint)) socket.ipv6 = true;
    await socket.bind(endpoint);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EADDRINUSE') throw new AddressInUseError(endpoint, cause);
    throw new EndpointError(endpoint, `it cannot be bound (${(cause as Error).message})`, cause);
  }
  const bound = socket.lastEndpoint ?? endpoint;
  await guardIpc(bound);
  return bound;
}

interface Parts {
  readonly pulls: Readonly<Record<Lane, Pull>>;
  readonly door: Reply | undefined;
  readonly keyring: Keyring | undefined;
  /** Hellos come over CURVE, and end with a proof, where there are keys. */
  readonly isSealed: boolean;
  readonly bound: readonly string[];
  readonly endpoints: Endpoints;
  readonly push: (lane: Lane, place: Place, node: NodeId) => Push;
  readonly check: (place: Place, node: NodeId) => void;
  readonly isSecured: (place: Place) => boolean;
}

class ZmqNode implements ZmqTransport {
  readonly node: NodeId;
  readonly incarnation: number;
  readonly endpoints: Endpoints;
  readonly #options: ZmqTransportOptions & { readonly maxFrameBytes: number };
  readonly #parts: Parts;
  readonly #handlers = new Handlers();
  readonly #links = new Map<NodeId, Link>();
  /** Who speaks under a token. */
  readonly #routes = new Map<number, Routed>();
  readonly #host: LinkHost;
  readonly #stats = {
    bytesSent: 0,
    bytesReceived: 0,
    messagesSent: 0,
    messagesReceived: 0,
    packetsRefused: 0,
  };
  #peers: PeerResolver;
  #open = true;
  #closing: Promise<void> | undefined;
  #onProgress: (() => void) | undefined;

  constructor(options: ZmqTransportOptions & { readonly maxFrameBytes: number }, parts: Parts) {
    this.#options = options;
    this.#parts = parts;
    this.node = options.node;
    this.incarnation = options.incarnation;
    this.endpoints = parts.endpoints;
    this.#peers = options.peers ?? (() => undefined);
    this.#host = this.#makeHost();
    for (const lane of lanes) {
      void readAll(
        parts.pulls[lane],
        lane,
        (on, message) => this.#take(on, message),
        (error) => this.#fatal(error),
      );
    }
  }

  send(to: NodeId, lane: Lane, packet: Packet, sent?: Sent): void {
    if (!this.#open || this.#closing !== undefined) throw new TransportClosedError(this.node);
    const link = this.#link(to);
    if (!link.isKnown) throw new UnknownPeerError(to);
    checkPacket(packet, this.#options.maxFrameBytes);
    link.send(lane, packet, sent);
  }

  onPacket(handler: PacketHandler): void {
    this.#handlers.onPacket(handler);
  }

  onPeer(handler: (event: PeerEvent) => void): void {
    this.#handlers.onPeer(handler);
  }

  stats(): TransportStats {
    return { ...this.#stats };
  }

  queuedBytes(to: NodeId): number {
    return this.#links.get(to)?.queuedBytes ?? 0;
  }

  setPeers(peers: PeerResolver): void {
    this.#peers = peers;
    for (const link of this.#links.values()) link.readdress();
  }

  close(deadlineMs: number): Promise<void> {
    this.#closing ??= this.#leave(deadlineMs);
    return this.#closing;
  }

  async #leave(deadlineMs: number): Promise<void> {
    const { clock } = this.#options;
    const links = [...this.#links.values()];
    for (const link of links) link.leave();
    const finished = (): boolean => !this.#open || links.every((link) => link.finished);
    if (!finished()) {
      await new Promise<void>((resolve) => {
        const timer = clock.after(deadlineMs, resolve);
        this.#onProgress = () => {
          if (!finished()) return;
          clock.cancel(timer);
          resolve();
        };
      });
    }
    this.#end();
    for (const bound of this.#parts.bound) await removeIpc(bound);
  }

  #end(): void {
    if (!this.#open) return;
    this.#open = false;
    for (const link of this.#links.values()) {
      link.end();
      const { node, queuedBytes } = link;
      assert(queuedBytes === 0, 'a link that has ended keeps no packet', { node, queuedBytes });
    }
    assert(this.#routes.size === 0, 'no session outlives its transport', { sessions: this.#routes.size });
    for (const lane of lanes) this.#parts.pulls[lane].close();
    this.#parts.door?.close();
    this.#onProgress?.();
  }

  #guard(handle: () => void): void {
    if (!this.#open) return;
    try {
      handle();
    } catch (error) {
      this.#fatal(error);
    }
  }

  #fatal(error: unknown): void {
    if (!this.#open) return;
    this.#options.logger.error('transport: a handler failed, the transport ends', { node: this.node, error });
    this.#end();
    const { onFatal } = this.#options;
    if (onFatal !== undefined) return onFatal(error);
    queueMicrotask(() => {
      throw error;
    });
  }

  /** Judges one message of the network; what is wrong with it is counted and never thrown. */
  #take(lane: Lane, parts: readonly Uint8Array[]): void {
    let link: Routed | undefined;
    try {
      const prologue = readPrologue(parts[0]!);
      // Credits travel on the control lane, whichever lane they are for.
      if (prologue.type === 'credit' ? lane !== 'control' : prologue.lane !== lane) {
        throw new GarbageError(`${prologue.type} for lane ${prologue.lane} on lane ${lane}`);
      }
      if (prologue.type === 'hello') {
        if (parts.length !== 1) throw new GarbageError('a hello has more than one part');
        const hello = this.#readHello(parts[0]!);
        this.#link(hello.node).onHello(hello, prologue.token, lane);
        return;
      }
      link = this.#routes.get(prologue.token);
      if (link === undefined) throw new GarbageError(`${prologue.type} of a session that is unknown or over`);
      link.onMessage(prologue, parts);
    } catch (error) {
      if (!(error instanceof GarbageError)) throw error;
      this.#refused(error.message);
      link?.onViolation(error.message);
    }
  }

  /** Whoever says hello has to mean this node, be of its run, and under CURVE prove that it is who it says (TRA-10). */
  #readHello(message: Uint8Array): Hello {
    const keyring = this.#parts.isSealed ? this.#parts.keyring : undefined;
    const end = message.byteLength - (keyring === undefined ? 0 : proofBytes);
    const body = message.subarray(0, Math.max(0, end));
    const hello = decodeHello(payloadOf(body));
    const { node, to, run, key = '' } = hello;
    if (keyring?.isProof(message.subarray(end), body, key) === false)
      throw new GarbageError(`a hello of node '${node}' without the proof of its key`);
    if (to !== this.node) throw new GarbageError(`a hello for node '${to}'`);
    if (run !== (this.#options.run ?? '')) throw new GarbageError(`a hello of run '${run}'`);
    if (keyring?.accepts(node, key) === false)
      throw new GarbageError(`node '${node}' does not speak under this key`);
    return hello;
  }

  #refused(why: string): void {
    const count = ++this.#stats.packetsRefused;
    // Logged at every power of two, so that a flood of garbage is not a flood of lines.
    if ((count & (count - 1)) === 0)
      this.#options.logger.warn('transport: refused', { node: this.node, why, count });
  }

  #link(node: NodeId): Link {
    let link = this.#links.get(node);
    if (link === undefined) {
      link = new Link(this.#host, node);
      this.#links.set(node, link);
    }
    return link;
  }

  #makeHost(): LinkHost {
    const { node, incarnation, clock, logger, maxFrameBytes, creditBytes } = this.#options;
    const { redialMs, giveUpMs, tryMs, refusedMs } = this.#options;
    const { keyring } = this.#parts;
    return {
      node,
      incarnation,
      run: this.#options.run ?? '',
      ...(keyring === undefined ? {} : { key: keyring.public }),
      endpoints: this.endpoints,
      clock,
      logger,
      maxFrameBytes,
      creditBytes: creditBytes ?? defaultCreditBytes,
      redialMs: redialMs ?? 100,
      giveUpMs: giveUpMs ?? 30_000,
      tryMs: tryMs ?? 2000,
      refusedMs: refusedMs ?? 5000,
      resolve: (peer) => this.#peers(peer),
      check: this.#parts.check,
      isSecured: this.#parts.isSecured,
      seal: (hello, peer) => {
        const key = keyring?.keyOf(peer);
        assert(keyring !== undefined && key !== undefined, 'a hello is sealed for a node whose key is known');
        return Buffer.concat([hello, keyring.proof(hello, key)]);
      },
      open: this.#parts.push,
      refused: (error) => {
        logger.error('transport: a node refuses this one', { node, error });
        this.#guard(() => this.#options.onRefused?.(error));
      },
      emit: (event) => {
        logger.debug('transport: peer', { node, event });
        this.#guard(() => this.#handlers.peer(event));
      },
      deliver: (from, lane, packet, release) =>
        this.#guard(() => this.#handlers.packet(from, lane, packet, release)),
      counted: (direction, bytes) => {
        if (direction === 'sent') {
          this.#stats.messagesSent++;
          this.#stats.bytesSent += bytes;
        } else {
          this.#stats.messagesReceived++;
          this.#stats.bytesReceived += bytes;
        }
      },
      route: (token, link) =>
        void (link === undefined ? this.#routes.delete(token) : this.#routes.set(token, link)),
      progress: () => this.#onProgress?.(),
    };
  }
}
