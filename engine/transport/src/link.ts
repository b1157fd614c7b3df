import { randomBytes } from 'node:crypto';
import { assert, type Lane, type NodeId, type Packet, type TimerHandle } from '@troupe/core';
import { PeerLostError, RefusedError, TransportClosedError } from './errors.ts';
import {
  decodeBatch,
  decodeCredit,
  encodeBatch,
  encodeCredit,
  encodeService,
  GarbageError,
  type Prologue,
} from './framing.ts';
import { encodeHello, type Endpoints, type Hello, type Place } from './hello.ts';
import { checkPacket, lanes, packetBytes, type CreditBytes } from './limits.ts';
import type { LinkHost } from './link-host.ts';
import { mechanismAt } from './mechanism.ts';
import { Outbox, type Sent } from './outbox.ts';
import { Outgoing } from './outgoing.ts';
import { isAmong, Places, placesOf } from './places.ts';
import { Receipts } from './receipts.ts';
import { brokenOff, RefusalWatch, type Refusal } from './refusal.ts';

/** Credit that is not due waits this long for more, milliseconds. */
const creditDelayMs = 2;

/** Where a handshake was made, but no hello came back, the next place has to wait so much longer, milliseconds. */
const answerMs = 5000;

/** A session of the peer with us, from its hello on. */
interface Incoming {
  readonly token: number;
  readonly incarnation: number;
  readonly creditBytes: CreditBytes;
  readonly greeted: Set<Lane>;
  readonly goodbyes: Set<Lane>;
  readonly receipts: Readonly<Record<Lane, Receipts>>;
}

/**
 * Everything between this node and one other.
 *
 * Each side dials the other: what A sends travels on A's sockets, and so do A's credits for what B sent. A's session starts with a
 * hello on both lanes; B answers with a welcome on its own session; a link is up when a session stands in both directions. Breaking
 * either direction ends both, with everything on the way, and a new attempt starts under a new token.
 */
export class Link {
  readonly node: NodeId;
  readonly #host: LinkHost;
  readonly #outboxes: Readonly<Record<Lane, Outbox>>;
  readonly #places = new Places();
  readonly #refusals: RefusalWatch;
  #outgoing: Outgoing | undefined;
  #incoming: Incoming | undefined;
  #announced: Endpoints | undefined;
  #up = false;
  #highest = 0;
  /** Lanes on which this attempt has said hello, and goodbye. */
  readonly #helloed = new Set<Lane>();
  readonly #farewelled = new Set<Lane>();
  #service: Uint8Array[] = [];
  #ackDue = false;
  #leaving = false;
  #ended = false;
  #timer: TimerHandle | undefined;
  /** The end of a try at one place of several. */
  #tryTimer: TimerHandle | undefined;
  #creditTimer: TimerHandle | undefined;

  constructor(host: LinkHost, node: NodeId) {
    this.#host = host;
    this.node = node;
    this.#outboxes = { control: new Outbox(0), data: new Outbox(0) };
    this.#refusals = new RefusalWatch(host.clock, host.refusedMs);
  }

  get queuedBytes(): number {
    return this.#outboxes.control.queuedBytes + this.#outboxes.data.queuedBytes;
  }

  /** True when a leaving transport need not wait for this link any more. */
  get finished(): boolean {
    return !this.#up && !this.#hasWaiting;
  }

  get #hasWaiting(): boolean {
    return this.#outboxes.control.hasWaiting || this.#outboxes.data.hasWaiting;
  }

  /** Where the peer may be: where it said itself, then what the topology says. */
  get #known(): readonly Place[] {
    return placesOf(this.#announced, this.#host.resolve(this.node));
  }

  get isKnown(): boolean {
    return this.#known.length > 0;
  }

  send(lane: Lane, packet: Packet, sent: Sent | undefined): void {
    this.#dial();
    this.#outboxes[lane].push(packet, sent);
    this.#outgoing?.wake(lane);
  }

  /** The topology has new places of nodes: gives up an attempt at a place that is no longer the peer's. */
  readdress(): void {
    const resolved = this.#host.resolve(this.node);
    if (this.#up || resolved === undefined) return;
    this.#announced = undefined;
    const dialed = this.#outgoing?.place;
    this.#places.know(this.#known);
    if (dialed !== undefined && this.#places.has(dialed)) return;
    if (dialed !== undefined || this.#hasWaiting) {
      this.#reset();
      this.#dial();
    }
  }

  /** Says goodbye once everything queued has left. */
  leave(): void {
    this.#leaving = true;
    this.#outgoing?.wake();
  }

  /** Drops everything at once. */
  end(): void {
    this.#leaving = true;
    this.#ended = true;
    this.#reset();
    for (const lane of lanes) this.#outboxes[lane].clear()(new TransportClosedError(this.#host.node));
  }

  /** @throws {GarbageError} when the hello is refused */
  onHello(hello: Hello, token: number, lane: Lane): void {
    if (this.#incoming?.token === token) {
      this.#incoming.greeted.add(lane);
      return;
    }
    const { node, incarnation } = hello;
    orGarbage(() => this.#check(placesOf(hello.endpoints)));
    if (incarnation < this.#highest) {
      throw new GarbageError(
        `node '${node}' is at incarnation ${this.#highest}, a hello of ${incarnation} is stale`,
      );
    }
    if (this.#incoming !== undefined) {
      const replaced = incarnation > this.#highest;
      this.#lose(replaced ? `replaced by incarnation ${incarnation}` : 'the peer connected again');
    }
    assert(
      this.#incoming === undefined && !this.#up,
      'a new session begins when the one before it is over (TRA-4)',
      { node },
    );
    this.#highest = incarnation;
    this.#announced = hello.endpoints;
    const receipts = { control: new Receipts(), data: new Receipts() };
    const { creditBytes } = hello;
    this.#incoming = {
      token,
      incarnation,
      creditBytes,
      greeted: new Set([lane]),
      goodbyes: new Set(),
      receipts,
    };
    this.#host.route(token, this);
    if (this.#leaving && !this.#hasWaiting) return;
    const dialed = this.#outgoing?.place;
    this.#places.know(this.#known, dialed !== undefined);
    if (dialed === undefined) this.#hangUp();
    // Elsewhere than where the peer says it is: that is no reason to break off what may be on its way there.
    else if (!isAmong(placesOf(hello.endpoints), dialed))
      this.#tryUntil(this.#host.redialMs, () => this.#onSilence());
    this.#dial();
    this.#welcome(token);
  }

  /** Takes a message of the peer's session; @throws {GarbageError} when it is refused */
  onMessage(prologue: Prologue, parts: readonly Uint8Array[]): void {
    const incoming = this.#incoming;
    const { type, lane } = prologue;
    assert(incoming?.token === prologue.token, 'a message is routed to the link of its session', {
      node: this.node,
      type,
    });
    if (!incoming.greeted.has(type === 'credit' ? 'control' : lane))
      throw new GarbageError(`${type} before a hello on lane ${lane}`);
    if (type !== 'packets' && parts.length !== 1) throw new GarbageError(`${type} has ${parts.length} parts`);
    if (type === 'welcome') {
      if (prologue.first === this.#outgoing?.token) this.#rise(incoming);
    } else if (type === 'credit') this.#onCredit(lane, decodeCredit(parts[0]!, prologue.count));
    else if (type === 'goodbye') this.#onGoodbye(incoming, lane);
    else if (type === 'goodbyeAck') this.#onGoodbyeAck();
    else this.#onPackets(incoming, prologue, parts);
  }

  /** The peer broke the protocol: what it sent cannot be continued. */
  onViolation(problem: string): void {
    this.#lose(problem);
    this.#redial();
  }

  #dial(): void {
    if (this.#outgoing !== undefined || this.#ended) return;
    const known = this.#known;
    if (known.length === 0) return;
    this.#check(known);
    this.#places.know(known);
    this.#disarm();
    this.#call();
    this.#timer = this.#host.clock.after(this.#host.giveUpMs, () => this.#giveUp());
  }

  #check(places: readonly Place[]): void {
    for (const place of places) this.#host.check(place, this.node);
  }

  /** Begins a session at the place whose turn it is. */
  #call(): void {
    const place = this.#places.current;
    this.#outgoing = new Outgoing({
      place,
      token: randomBytes(6).readUIntBE(0, 6),
      open: (lane) => this.#host.open(lane, place, this.node),
      next: (lane) => this.#next(lane),
      vacant: () => this.#onVacant(),
      gone: (reason, refusal) => this.#onHangUp(reason, refusal),
    });
    this.#helloed.clear();
    this.#farewelled.clear();
    this.#outgoing.wake();
    const { tryMs, giveUpMs } = this.#host;
    this.#tryUntil(Math.min(tryMs * 2 ** this.#places.rounds, giveUpMs), () => this.#onSilence());
  }

  /** Ends the try at a place, where there are others. */
  #tryUntil(ms: number, end: () => void): void {
    this.#endTry();
    if (this.#places.count < 2) return;
    this.#tryTimer = this.#host.clock.after(ms, () => {
      this.#tryTimer = undefined;
      end();
    });
  }

  /** Nobody listens where the peer was looked for: the library tries again, and somebody may listen elsewhere. */
  #onVacant(): void {
    if (this.#up || this.#outgoing?.hasSpoken === true) return;
    this.#places.note('nobody listens there');
    if (this.#places.count < 2) return this.#refusals.clear();
    this.#outgoing?.close();
    this.#tryUntil(this.#host.redialMs, () => this.#tryNext());
  }

  /** Nothing is heard from a place: whoever has made a handshake gets longer, since its thread may be busy. */
  #onSilence(): void {
    if (this.#outgoing?.hasSpoken !== true) {
      this.#places.note('no handshake');
      this.#tryNext();
    } else
      this.#tryUntil(answerMs * 2 ** this.#places.rounds, () => {
        this.#places.note('no answer to a hello');
        this.#lose('no answer to a hello');
        this.#places.next();
        this.#dial();
      });
  }

  /**
   * Goes on to the next place. Nothing of the session that began here has left, so what the peer has begun stays: it may know the way
   * to this node while this one still looks for it.
   */
  #tryNext(): void {
    this.#outgoing?.close();
    this.#service = [];
    this.#places.next();
    this.#call();
    if (this.#incoming !== undefined) this.#welcome(this.#incoming.token);
  }

  /** Nobody answered for long: start again if something waits for an answer, else stop trying until there is a reason. */
  #giveUp(): void {
    this.#timer = undefined;
    if (this.#up) return;
    const { node } = this;
    const { giveUpMs: afterMs } = this.#host;
    const tried = this.#places.describe();
    this.#host.logger.warn('transport: a node does not answer', { node, afterMs, tried });
    // Who has made a handshake can be reached: its own thread may be busy.
    const isReached = this.#outgoing?.hasSpoken === true;
    this.#reset();
    this.#places.next();
    if (!this.#hasWaiting) return;
    this.#dial();
    if (!isReached)
      this.#host.emit({ type: 'peer.unreached', node, incarnation: this.#highest, afterMs, tried });
  }

  #redial(): void {
    if ((this.#leaving && !this.#hasWaiting) || this.#timer !== undefined || this.#outgoing !== undefined)
      return;
    this.#timer = this.#host.clock.after(this.#host.redialMs, () => {
      this.#timer = undefined;
      this.#dial();
    });
  }

  #onHangUp(reason: string, refusal: Refusal | null): void {
    if (!this.#up && this.#isTriedElsewhere(reason, refusal)) return;
    const departed = this.#incoming?.goodbyes.size === lanes.length;
    this.#lose(reason);
    if (!departed || this.#hasWaiting) this.#redial();
  }

  /** Before a link is up: whether the peer is looked for at another place, or no more. */
  #isTriedElsewhere(reason: string, refusal: Refusal | null): boolean {
    this.#places.note(reason, refusal !== null, refusal?.isPeer === false);
    if (refusal !== null && this.#refusals.refused() && (refusal.isPeer || this.#places.allRefuse)) {
      void this.#giveIn();
      return true;
    }
    if (this.#places.count < 2) return false;
    if (this.#outgoing?.hasSpoken === true) {
      this.#places.next();
      return false;
    }
    this.#tryUntil(this.#host.redialMs, () => this.#tryNext());
    return true;
  }

  /** The peer, or whoever sits in its place, refuses this node: what waits for it fails, with why. */
  async #giveIn(): Promise<void> {
    this.#refusals.clear();
    this.#reset();
    await Promise.all(
      this.#places.brokenOff.map(async (place) => {
        const mechanism = await mechanismAt(place.control, answerMs);
        this.#places.explain(place, brokenOff(mechanism, this.#host.isSecured(place)));
      }),
    );
    // Meanwhile the peer may have called, or somebody here has tried again.
    if (this.#outgoing !== undefined || this.#ended) return;
    const error = new RefusedError(this.node, this.#places.describe(), this.#host.run);
    for (const fail of lanes.map((lane) => this.#outboxes[lane].clear())) fail(error);
    this.#host.refused(error);
    this.#host.progress();
  }

  #welcome(token: number): void {
    const outgoing = this.#outgoing;
    assert(outgoing !== undefined, 'a welcome needs an attempt of our own', { node: this.node });
    const { token: own } = outgoing;
    this.#service.push(encodeService({ type: 'welcome', lane: 'control', token: own, first: token }));
    outgoing.wake('control');
  }

  #rise(incoming: Incoming): void {
    if (this.#up || incoming.goodbyes.size === lanes.length) return;
    assert(incoming === this.#incoming, 'a link rises with the session that stands', { node: this.node });
    this.#up = true;
    this.#disarm();
    this.#endTry();
    this.#places.found();
    this.#refusals.clear();
    for (const lane of lanes)
      assert(this.#outboxes[lane].nextSeq === 0, 'packets of a new session are numbered from 0 (TRA-1)', {
        lane,
        nextSeq: this.#outboxes[lane].nextSeq,
      });
    for (const lane of lanes) this.#outboxes[lane].windowBytes = incoming.creditBytes[lane];
    this.#host.emit({ type: 'peer.up', node: this.node, incarnation: incoming.incarnation });
    this.#outgoing?.wake();
  }

  #onPackets(incoming: Incoming, prologue: Prologue, parts: readonly Uint8Array[]): void {
    const { lane } = prologue;
    if (incoming.goodbyes.has(lane)) throw new GarbageError('packets after goodbye');
    const receipts = incoming.receipts[lane];
    if (prologue.first !== receipts.nextSeq) {
      throw new GarbageError(`packet ${prologue.first} found on lane ${lane}, ${receipts.nextSeq} expected`);
    }
    const packets = decodeBatch(parts, prologue.count);
    orGarbage(() => packets.forEach((packet) => checkPacket(packet, this.#host.maxFrameBytes)));
    // A peer sends packets only after our welcome, on whatever lane they overtake its own welcome.
    this.#rise(incoming);
    for (const packet of packets) {
      const seq = receipts.nextSeq;
      const bytes = packetBytes(packet);
      if (!receipts.arrive(bytes, this.#host.creditBytes[lane]))
        throw new GarbageError('more bytes than its credit');
      this.#host.counted('received', bytes);
      let released = false;
      this.#host.deliver(this.node, lane, packet, () => {
        if (released) return;
        released = true;
        if (this.#incoming !== incoming) return;
        receipts.release(seq, bytes);
        if (receipts.isDue(this.#host.creditBytes[lane])) this.#outgoing?.wake('control');
        else this.#creditSoon();
      });
      assert(receipts.nextSeq > seq, 'packets arrive in order (TRA-1)');
      // The handler may have closed the transport, or sent something whose failure ended this link.
      if (this.#incoming !== incoming) return;
    }
  }

  /** Gives credit back that is not due yet: a message a packet would cost both sides more than the packet. */
  #creditSoon(): void {
    this.#creditTimer ??= this.#host.clock.after(creditDelayMs, () => {
      this.#creditTimer = undefined;
      this.#outgoing?.wake('control');
    });
  }

  #onCredit(lane: Lane, runs: readonly number[]): void {
    const outbox = this.#outboxes[lane];
    for (let run = 0; run < runs.length; run += 2) {
      const [start, count] = [runs[run]!, runs[run + 1]!];
      for (let seq = start; seq < start + count; seq++) {
        if (!outbox.acknowledge(seq))
          throw new GarbageError(`credit for packet ${seq}, which is not on the way`);
      }
    }
    this.#outgoing?.wake(lane);
    this.#host.progress();
  }

  #onGoodbye(incoming: Incoming, lane: Lane): void {
    incoming.goodbyes.add(lane);
    if (incoming.goodbyes.size < lanes.length) return;
    this.#ackDue = true;
    this.#outgoing?.wake('control');
    this.#fall('goodbye');
    this.#host.progress();
  }

  #onGoodbyeAck(): void {
    if (this.#farewelled.size < lanes.length)
      throw new GarbageError('an answer to a goodbye that was not said');
    this.#lose('goodbye');
  }

  /** What the lane's socket sends next: what keeps the peer going before what is new. */
  #next(lane: Lane): Uint8Array[] | undefined {
    const token = this.#outgoing?.token;
    if (token === undefined) return undefined;
    if (!this.#helloed.has(lane)) {
      this.#helloed.add(lane);
      return [this.#hello(lane, token)];
    }
    if (lane === 'control') {
      const service = this.#service.shift() ?? this.#nextCredit(token) ?? this.#nextAck(token);
      if (service !== undefined) return [service];
    }
    if (!this.#up) return undefined;
    assert(this.#incoming !== undefined, 'a link that is up has a session in both directions', {
      node: this.node,
    });
    const outbox = this.#outboxes[lane];
    const batch = encodeBatch({ lane, token, first: outbox.nextSeq }, () => {
      const packet = outbox.take();
      if (packet !== undefined) this.#host.counted('sent', packetBytes(packet));
      return packet;
    });
    if (batch !== undefined) return batch;
    if (!this.#leaving || outbox.hasWaiting || this.#farewelled.has(lane)) return undefined;
    this.#farewelled.add(lane);
    return [encodeService({ type: 'goodbye', lane, token })];
  }

  #hello(lane: Lane, token: number): Uint8Array {
    const { node, incarnation, run, key, endpoints, creditBytes } = this.#host;
    const about = { node, incarnation, to: this.node, run, endpoints, creditBytes };
    const place = this.#outgoing?.place;
    const isSealed = key !== undefined && place !== undefined && this.#host.isSecured(place);
    const hello = encodeHello(isSealed ? { ...about, key } : about);
    const message = encodeService({ type: 'hello', lane, token }, hello);
    return isSealed ? this.#host.seal(message, this.node) : message;
  }

  #nextCredit(token: number): Uint8Array | undefined {
    for (const lane of lanes) {
      const receipts = this.#incoming?.receipts[lane];
      if (receipts?.hasCredit === true) return encodeCredit(token, lane, receipts.takeCredit());
    }
    return undefined;
  }

  #nextAck(token: number): Uint8Array | undefined {
    if (!this.#ackDue) return undefined;
    this.#ackDue = false;
    return encodeService({ type: 'goodbyeAck', lane: 'control', token });
  }

  /** The link goes down and says so; sessions stay, to answer a goodbye. A transport that leaves is told of no peer any more. */
  #fall(reason: string): void {
    if (!this.#up) return;
    this.#up = false;
    const { node } = this;
    const incarnation = this.#highest;
    const tell = lanes.map((lane) => this.#outboxes[lane].clear());
    if (!this.#leaving) {
      const goodbye = reason === 'goodbye';
      this.#host.emit(
        goodbye
          ? { type: 'peer.goodbye', node, incarnation }
          : { type: 'peer.lost', node, incarnation, reason },
      );
    }
    const error = this.#leaving ? new TransportClosedError(this.#host.node) : new PeerLostError(node, reason);
    for (const fail of tell) fail(error);
  }

  #lose(reason: string): void {
    this.#hangUp();
    this.#forget();
    this.#fall(reason);
    this.#host.progress();
  }

  #reset(): void {
    this.#hangUp();
    this.#forget();
    this.#up = false;
  }

  #forget(): void {
    if (this.#incoming !== undefined) this.#host.route(this.#incoming.token, undefined);
    this.#incoming = undefined;
  }

  #hangUp(): void {
    this.#disarm();
    this.#endTry();
    this.#noCreditSoon();
    this.#outgoing?.close();
    this.#outgoing = undefined;
    this.#service = [];
    this.#ackDue = false;
  }

  #noCreditSoon(): void {
    if (this.#creditTimer !== undefined) this.#host.clock.cancel(this.#creditTimer);
    this.#creditTimer = undefined;
  }

  #endTry(): void {
    if (this.#tryTimer !== undefined) this.#host.clock.cancel(this.#tryTimer);
    this.#tryTimer = undefined;
  }

  #disarm(): void {
    if (this.#timer !== undefined) this.#host.clock.cancel(this.#timer);
    this.#timer = undefined;
  }
}

/** What would be a caller's mistake on this side is garbage when it arrives. */
function orGarbage(check: () => void): void {
  try {
    check();
  } catch (error) {
    throw new GarbageError((error as Error).message);
  }
}
