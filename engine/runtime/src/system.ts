import {
  address as toAddress,
  assert,
  deserializeError,
  serializeError,
  TroupeError,
  type Address,
  type Lane,
  type NodeId,
  type Packet,
  type SerializedError,
} from '@troupe/core';
import type { Codec, Message } from '@troupe/wire';
import type { ActorEvent, EventHeader, FieldsArgument, MessageFields, Mount, Supervision } from './actor.ts';
import { actorEvent } from './actor-event.ts';
import { Asks } from './asks.ts';
import type { Cell } from './cell.ts';
import { dictionaryOf, type Dictionary } from './dictionary.ts';
import {
  MessageRefusedError,
  MessageShapeError,
  RestartIntensityError,
  UnknownAddressError,
} from './errors.ts';
import { Life, type Household } from './life.ts';
import { Mailbox } from './mailbox.ts';
import type { Shapes } from './message-shape.ts';
import { PureMachine, type TransitionResult } from './pure-machine.ts';
import { MAILBOX_CAPACITY, type SystemOptions } from './system-options.ts';
import type { ActorStatus, Turn } from './turn.ts';
import { Waits, type Wait } from './waits.ts';

type RefusedEvent = EventHeader & Pick<ActorEvent, 'type'> & Partial<Pick<ActorEvent, 'body'>>;

const reasonIn = ({ body }: RefusedEvent): string => {
  const reason = body?.['reason'];
  return typeof reason === 'string' ? reason : 'refused';
};

/** A message's way in, when it came from another node. */
interface Arrival {
  readonly from: NodeId;
  readonly packet: Packet;
  readonly release: () => void;
}

/** Prefix of the address that the system of a node itself answers. */
const SYSTEM_PREFIX = 'system/';
export const systemAddress = (node: NodeId): Address => toAddress(`${SYSTEM_PREFIX}${node}`);

const statusOf = ({ address, incarnation, snapshot, mailbox }: Cell): ActorStatus => ({
  address,
  incarnation,
  state: snapshot.state,
  mailboxSize: mailbox.size,
});

/** What carries tensors goes by the data lane, all else by control. */
const laneOf = (message: Message): Lane => (message.tensors.length > 0 ? 'data' : 'control');

/**
 * The actors of one node: mailboxes, routing, asks, waits, supervision.
 *
 * RUN-1: one event is handled at a time, to completion, on the event loop; handlers never await.
 * RUN-2: a message that a state does not accept gets a typed refusal, never silence.
 * RUN-3: events of an earlier attempt, or of an earlier step of the same attempt, than the actor's epoch are dropped and counted;
 * messages of a node's earlier life too.
 * RUN-4: every ask and every wait has an owner, a deadline and a reason.
 */
export class ActorSystem<Sent extends Shapes = Shapes> {
  readonly node: NodeId;
  /** Of the system itself. */
  readonly #address: Address;
  readonly #options: SystemOptions;
  readonly #dictionary: Dictionary;
  readonly #cells = new Map<Address, Cell>();
  readonly #ready: Cell[] = [];
  readonly #asks: Asks;
  readonly #waits: Waits;
  readonly #house: Household;
  readonly #pumpSoon = (): void => this.#pump();
  #pumping = false;
  #stopped = false;
  /** Replaced when one comes or goes, so that a turn is seen by those who were there when it began. */
  #observers: readonly ((turn: Turn) => void)[] = [];
  #fencedEvents = 0;
  #staleMessages = 0;

  constructor(options: SystemOptions) {
    this.#options = options;
    this.node = options.node;
    this.#address = systemAddress(options.node);
    this.#dictionary = dictionaryOf(options.messages);
    if (options.observe !== undefined) this.#observers = [options.observe];
    this.#asks = new Asks(options.clock, options.transport.incarnation);
    this.#waits = new Waits(options.clock);
    this.#house = {
      options,
      dictionary: this.#dictionary,
      asks: this.#asks,
      waits: this.#waits,
      isStopped: () => this.#stopped,
      isHere: (address) => this.#nodeOf(address) === this.node,
      deliver: (cell, event) => this.#deliver(cell, event),
      tell: (from, to, kind, fields) => this.#tell(from, to, kind, fields),
      send: (message) => this.#send(message),
      refuse: (request, refuser, error) => this.#refuse(request, refuser, error),
      fail: (cell, error) => this.#failed(cell, error),
    };
  }

  /** Begins to receive. Call it when all actors are mounted: what arrived before waits in the transport. */
  listen(): void {
    const { transport, codec, logger, directory, probe } = this.#options;
    transport.onPacket((from, _lane, packet, release) => {
      probe?.receiving();
      let decoded: ReturnType<Codec['decodeMessage']>;
      try {
        decoded = codec.decodeMessage(packet);
      } catch (error) {
        release();
        logger.warn('packet refused', { from, error: serializeError(error) });
        return;
      }
      if (directory.hears(from, decoded.incarnation)) {
        this.#receive(decoded.message, { from, packet, release });
        return;
      }
      release();
      this.#staleMessages++;
    });
  }

  /** Starts an actor; its first events may be handled before this returns its turn to the event loop, never inside the call. */
  mount(address: Address, supervision: Supervision, mount: Mount): void {
    assert(!this.#cells.has(address), 'an address is mounted once', { address });
    const cell = {
      address,
      mount,
      supervision,
      mailbox: new Mailbox(address, this.#options.mailboxCapacity ?? MAILBOX_CAPACITY),
      incarnation: 0,
      queued: false,
      restartsMs: [],
      timers: new Map(),
    } as unknown as Cell;
    this.#cells.set(address, cell);
    try {
      this.#begin(cell);
    } catch (error) {
      this.#cells.delete(address);
      // What its first life has begun finds nobody.
      cell.incarnation++;
      throw error;
    }
  }

  statuses(): readonly ActorStatus[] {
    return [...this.#cells.values()].map(statusOf);
  }

  status(address: Address): ActorStatus | undefined {
    const cell = this.#cells.get(address);
    return cell === undefined ? undefined : statusOf(cell);
  }

  /** Shows every turn from now on to `observer`, until the function that is returned is called. */
  observe(observer: (turn: Turn) => void): () => void {
    this.#observers = [...this.#observers, observer];
    return () => (this.#observers = this.#observers.filter((each) => each !== observer));
  }

  waits(): readonly Wait[] {
    return this.#waits.list();
  }

  get fencedEvents(): number {
    return this.#fencedEvents;
  }

  /** Messages from a life of a node that a later one has replaced. */
  get staleMessages(): number {
    return this.#staleMessages;
  }

  /** Sends from outside any actor: how the composition root speaks to actors. */
  tell<K extends keyof Sent & string>(to: Address, kind: K, ...[fields]: FieldsArgument<Sent[K]>): void {
    this.#tell(this.#address, to, kind, fields ?? {});
  }

  /** Ends an actor's life as if its last turn had thrown: supervision decides what follows. */
  fail(address: Address, error: TroupeError): void {
    const cell = this.#cells.get(address);
    if (cell !== undefined && !this.#stopped) this.#failed(cell, error);
  }

  stop(): void {
    this.#stopped = true;
    for (const cell of this.#cells.values()) this.#end(cell);
    this.#asks.clear();
  }

  #begin(cell: Cell): void {
    cell.incarnation++;
    cell.behaviour = cell.mount(new Life(cell, this.#house));
    cell.isAlive = true;
    cell.machine = new PureMachine(cell.behaviour.machine);
    const start: ActorEvent = actorEvent('xstate.init', cell.address, {});
    const result = cell.machine.initial(cell.behaviour.input);
    cell.snapshot = result.snapshot;
    this.#perform(cell, result, start);
  }

  #end(cell: Cell): void {
    for (const timer of cell.timers.values()) this.#options.clock.cancel(timer);
    cell.timers.clear();
    this.#waits.endAll(cell.address);
    this.#asks.forget(cell.address);
    if (cell.isAlive) cell.behaviour.dispose?.();
    cell.isAlive = false;
    // What nobody will read gives its credit back.
    for (let entry = cell.mailbox.shift(); entry !== undefined; entry = cell.mailbox.shift())
      entry.release?.();
  }

  /** A message to an actor here becomes its event at once. */
  #tell(from: Address, to: Address, kind: string, fields: MessageFields): void {
    if (this.#stopped) return;
    const cell = this.#cells.get(to);
    if (cell !== undefined && this.#nodeOf(to) === this.node)
      this.#deliver(cell, actorEvent(kind, from, fields));
    else this.#send(this.#dictionary.messageOf(from, to, kind, fields));
  }

  #send(message: Message): void {
    if (this.#stopped) return;
    const target = this.#nodeOf(message.to);
    if (target === this.node) {
      this.#receive(message);
      return;
    }
    const { codec, transport, probe } = this.#options;
    try {
      probe?.sending();
      const packet = codec.encodeMessage(message, transport.incarnation);
      transport.send(target, laneOf(message), packet);
      probe?.sent(message, target, packet);
    } catch (error) {
      const failure =
        error instanceof TroupeError
          ? error
          : new TroupeError('TROUPE_UNKNOWN', String(error), { cause: error });
      this.#options.logger.warn('message not sent', {
        to: message.to,
        kind: message.kind,
        code: failure.code,
      });
      if (message.correlation !== undefined) this.#failAsk(message.correlation, message, failure);
    }
  }

  #nodeOf(address: Address): NodeId {
    if (address.startsWith(SYSTEM_PREFIX)) return address.slice(SYSTEM_PREFIX.length) as NodeId;
    return this.#options.directory.nodeOf(address);
  }

  /** A message arrived, from the transport or from beside. */
  #receive(message: Message, arrival?: Arrival): void {
    const release = arrival?.release;
    if (message.replyTo !== undefined) {
      const owner = this.#asks.answered(message.replyTo);
      const asker = owner === undefined ? undefined : this.#cells.get(owner);
      if (asker !== undefined) this.#accept(asker, this.#replyEvent(message), arrival);
      else release?.();
      return;
    }
    if (message.to === this.#address) {
      this.#answerAsSystem(message);
      release?.();
      return;
    }
    const event = this.#dictionary.eventOf(message);
    const isJudged = arrival === undefined || this.#options.codec.isReference === true;
    const problem = isJudged ? null : this.#dictionary.problem(event);
    const cell = this.#cells.get(message.to);
    if (problem !== null || cell === undefined) {
      release?.();
      const { from, to, kind } = message;
      const error =
        problem === null
          ? new UnknownAddressError(to, this.node)
          : new MessageShapeError(kind, from, problem);
      this.#refuse(event, to, error);
      return;
    }
    this.#accept(cell, event, arrival);
  }

  #accept(cell: Cell, event: ActorEvent, arrival?: Arrival): void {
    if (arrival !== undefined)
      this.#options.probe?.received(arrival.from, cell.address, arrival.packet, event);
    this.#deliver(cell, event, arrival?.release);
  }

  #replyEvent(message: Message): ActorEvent {
    const event = this.#dictionary.eventOf(message);
    if (message.kind !== 'message.refused') return event;
    const { error } = event.body;
    assert(typeof error === 'string', 'a refusal carries its error', { from: message.from });
    return { ...event, type: 'ask.failed', error: JSON.parse(error) as SerializedError };
  }

  #answerAsSystem(message: Message): void {
    if (message.kind === 'system.describe' && message.correlation !== undefined) {
      const lines = this.statuses().map(
        (status) => `${status.address} ${status.state} ${status.mailboxSize}`,
      );
      this.#send(
        this.#dictionary.messageOf(
          this.#address,
          message.from,
          'system.described',
          { body: { lines } },
          { replyTo: message.correlation },
        ),
      );
    } else if (message.kind === 'message.refused') {
      this.#options.logger.warn('message refused', { from: message.from, error: message.body['error'] });
    }
  }

  #deliver(cell: Cell, event: ActorEvent, release?: () => void): void {
    if (this.#stopped) {
      release?.();
      return;
    }
    try {
      cell.mailbox.push({ event, release });
    } catch (error) {
      release?.();
      this.#failed(cell, error);
      return;
    }
    if (!cell.queued) {
      cell.queued = true;
      this.#ready.push(cell);
    }
    if (!this.#pumping) {
      this.#pumping = true;
      this.#options.schedule(this.#pumpSoon);
    }
  }

  #pump(): void {
    // A burst of turns, then back to the event loop, so that sockets and timers are served between bursts.
    let turns = 0;
    while (turns < 64) {
      const cell = this.#ready.shift();
      if (cell === undefined) break;
      cell.queued = false;
      const entry = cell.mailbox.shift();
      if (entry === undefined) continue;
      if (cell.mailbox.size > 0) {
        cell.queued = true;
        this.#ready.push(cell);
      }
      turns++;
      this.#options.probe?.turnBegins();
      this.#turn(cell, entry.event);
      entry.release?.();
      if (this.#stopped) return;
    }
    if (this.#ready.length > 0) this.#options.schedule(this.#pumpSoon);
    else this.#pumping = false;
  }

  #turn(cell: Cell, event: ActorEvent): void {
    const { incarnation } = cell;
    const { probe } = this.#options;
    const observers = this.#observers;
    const isSeen = observers.length > 0 || probe !== undefined;
    const stateBefore = isSeen ? cell.snapshot.state : '';
    let outcome: Turn['outcome'] = 'handled';
    try {
      const { behaviour } = cell;
      const epoch =
        behaviour.fenced?.has(event.type) === true
          ? behaviour.epoch?.(cell.snapshot.context as never)
          : undefined;
      if (
        epoch !== undefined &&
        (event.attempt < epoch.attempt || (event.attempt === epoch.attempt && event.step < epoch.step))
      ) {
        this.#fencedEvents++;
        outcome = 'fenced';
      } else {
        const result = cell.machine.transition(cell.snapshot, event);
        if (result === null) {
          outcome = 'refused';
          this.#refuse(
            event,
            cell.address,
            new MessageRefusedError(cell.address, event.type, cell.snapshot.state),
          );
        } else {
          cell.snapshot = result.snapshot;
          this.#perform(cell, result, event);
        }
      }
    } catch (error) {
      this.#failed(cell, error);
    }
    if (!isSeen) return;
    const turn: Turn = {
      node: this.node,
      address: cell.address,
      incarnation,
      event,
      outcome,
      stateBefore,
      stateAfter: cell.snapshot.state,
      mailboxSize: cell.mailbox.size,
    };
    for (const observe of observers) observe(turn);
    probe?.turnEnded(turn);
  }

  #refuse(event: RefusedEvent, refuser: Address, error: TroupeError): void {
    if (event.correlation !== undefined) {
      const body = { error: JSON.stringify(serializeError(error, refuser)) };
      this.#send(
        this.#dictionary.messageOf(
          refuser,
          event.from,
          'message.refused',
          { ...event, tensors: {}, body },
          { replyTo: event.correlation },
        ),
      );
      return;
    }
    // The failure of a kernel or of an ask that no state handles is the actor's own failure.
    const cell = this.#cells.get(refuser);
    if (cell !== undefined && event.error !== undefined) {
      this.#failed(cell, deserializeError(event.error));
      return;
    }
    if (event.type === 'message.refused') {
      if (cell !== undefined)
        this.#failed(
          cell,
          new TroupeError('TROUPE_ACTOR_REFUSED', reasonIn(event), {
            details: { from: event.from },
          }),
        );
      return;
    }
    this.#send(
      this.#dictionary.messageOf(refuser, event.from, 'message.refused', {
        step: event.step,
        attempt: event.attempt,
        body: { reason: error.message, error: JSON.stringify(serializeError(error, refuser)) },
      }),
    );
  }

  #perform(cell: Cell, result: TransitionResult, event: ActorEvent): void {
    for (const id of result.cancelled) {
      const timer = cell.timers.get(id);
      if (timer !== undefined) this.#options.clock.cancel(timer);
      cell.timers.delete(id);
    }
    for (const delayed of result.armed) {
      const timer = this.#options.clock.after(delayed.delayMs, () => {
        cell.timers.delete(delayed.id);
        this.#deliver(cell, {
          ...actorEvent(delayed.event.type, cell.address, {}),
          ...delayed.event,
        });
      });
      cell.timers.set(delayed.id, timer);
    }
    const life = cell.incarnation;
    for (const action of result.actions) {
      // An action before this one failed the actor: the rest belongs to a life that is over.
      if (cell.incarnation !== life) return;
      // Accepted, and nothing to do: xstate takes a transition without target and actions for a forbidden one.
      if (action.type === 'ignore') continue;
      const effect = cell.behaviour.effects[action.type];
      assert(effect !== undefined, `no effect is named ${action.type}`, { address: cell.address });
      effect((action.event.type === 'xstate.init' ? event : action.event) as never, action.context as never);
    }
  }

  #failed(cell: Cell, error: unknown): void {
    const failure =
      error instanceof TroupeError
        ? error
        : new TroupeError(
            'TROUPE_UNKNOWN',
            error instanceof Error ? `${error.name}: ${error.message}` : String(error),
            { cause: error },
          );
    const now = this.#options.clock.now();
    const { strategy, intensity, periodMs } = cell.supervision;
    cell.restartsMs = [...cell.restartsMs.filter((at) => now - at < periodMs), now];
    if (strategy === 'escalate') {
      this.#options.onFailure(failure, cell.address);
      return;
    }
    if (cell.restartsMs.length > intensity) {
      this.#options.onFailure(
        new RestartIntensityError(cell.address, cell.restartsMs.length, periodMs, failure),
        cell.address,
      );
      return;
    }
    this.#options.logger.warn('actor restarts', { address: cell.address, error: serializeError(failure) });
    const cells = [...this.#cells.values()];
    const affected = strategy === 'one-for-one' ? [cell] : cells.slice(cells.indexOf(cell));
    const lives = affected.map((each) => each.incarnation);
    for (const each of affected) this.#end(each);
    // One that fails while it begins counts as another failure, and may have restarted those behind it already.
    affected.forEach((each, index) => {
      if (each.incarnation === lives[index]) this.#restart(each);
    });
  }

  #restart(cell: Cell): void {
    try {
      this.#begin(cell);
    } catch (error) {
      this.#failed(cell, error);
    }
  }

  #failAsk(correlation: number, asked: Message, error: TroupeError): void {
    const owner = this.#asks.answered(correlation);
    if (owner === undefined) return;
    const event = { ...this.#dictionary.eventOf(asked), type: 'ask.failed', from: owner, tensors: {} };
    const cell = this.#cells.get(owner);
    if (cell !== undefined) this.#deliver(cell, { ...event, error: serializeError(error) });
  }
}
