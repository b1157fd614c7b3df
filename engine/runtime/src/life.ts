import {
  assert,
  serializeError,
  type Address,
  type Clock,
  type Logger,
  type SerializedError,
  type TroupeError,
} from '@troupe/core';
import type { Device, KernelCall } from '@troupe/kernel-set';
import type { Message } from '@troupe/wire';
import type { ActorEvent, AskOptions, EventHeader, MessageFields, Place, Self } from './actor.ts';
import { actorEvent } from './actor-event.ts';
import type { Asks } from './asks.ts';
import type { Cell } from './cell.ts';
import type { Dictionary } from './dictionary.ts';
import { travels, type Carried } from './message-shape.ts';
import type { SystemOptions } from './system-options.ts';
import type { WaitRequest, Waits } from './waits.ts';

type OwnFields = MessageFields & { readonly error?: SerializedError };

/** What the lives of one node's actors have in common: the system, as far as they may touch it. */
export interface Household {
  readonly options: SystemOptions;
  readonly dictionary: Dictionary;
  readonly asks: Asks;
  readonly waits: Waits;
  readonly isStopped: () => boolean;
  /** Whether an actor lives on this node. */
  readonly isHere: (address: Address) => boolean;
  readonly deliver: (cell: Cell, event: ActorEvent) => void;
  readonly tell: (from: Address, to: Address, kind: string, fields: MessageFields) => void;
  readonly send: (message: Message) => void;
  readonly refuse: (
    request: EventHeader & { readonly type: string },
    refuser: Address,
    error: TroupeError,
  ) => void;
  readonly fail: (cell: Cell, error: TroupeError) => void;
}

/** One life of an actor, as its effects see it. What belongs to a life that is over does nothing. */
export class Life implements Self {
  readonly address: Address;
  readonly #cell: Cell;
  readonly #incarnation: number;
  readonly #house: Household;

  constructor(cell: Cell, house: Household) {
    this.address = cell.address;
    this.#cell = cell;
    this.#incarnation = cell.incarnation;
    this.#house = house;
  }

  get clock(): Clock {
    return this.#house.options.clock;
  }

  get logger(): Logger {
    return this.#house.options.logger.child({ actor: this.address });
  }

  get #isAlive(): boolean {
    return this.#cell.incarnation === this.#incarnation && !this.#house.isStopped();
  }

  isBeside(address: Address): boolean {
    return this.#house.isHere(address);
  }

  tell(to: Address, kind: string, fields: MessageFields = {}): void {
    if (this.#isAlive) this.#house.tell(this.address, to, kind, fields);
  }

  ask(to: Address, kind: string, fields: MessageFields, options: AskOptions): void {
    if (!this.#isAlive) return;
    const { asks, dictionary, send } = this.#house;
    const correlation = asks.begin(this.address, to, kind, options, (error) =>
      this.post('ask.failed', { ...fields, tensors: {}, error: serializeError(error, to) }),
    );
    send(dictionary.messageOf(this.address, to, kind, fields, { correlation }));
  }

  reply({ from, correlation }: EventHeader, kind: string, fields: MessageFields = {}): void {
    assert(correlation !== undefined, 'only a question can be answered', { kind });
    if (!this.#isAlive) return;
    const { dictionary, send } = this.#house;
    send(dictionary.messageOf(this.address, from, kind, fields, { replyTo: correlation }));
  }

  refuse(request: EventHeader & { readonly type: string }, error: TroupeError): void {
    this.#house.refuse(request, this.address, error);
  }

  post(type: string, fields: OwnFields = {}): void {
    if (this.#isAlive) this.#house.deliver(this.#cell, actorEvent(type, this.address, fields));
  }

  takeUp({ type, from, step, attempt, version, layer, microbatch, body, tensors }: ActorEvent): void {
    const fields = { step, attempt, version, layer, microbatch, body, tensors };
    if (this.#isAlive) this.#house.deliver(this.#cell, actorEvent(type, from, fields));
  }

  submit(device: Device, calls: readonly KernelCall[], done: string, fields: MessageFields = {}): void {
    this.#run(device, calls, done, fields);
  }

  queue(device: Device, calls: readonly KernelCall[], done: string, fields: MessageFields = {}): void {
    this.#run(device, calls, null, fields);
    this.post(done, fields);
  }

  settle(promise: Promise<MessageFields>, done: string, failed: string, place: Place = {}): void {
    promise.then(
      (outcome) => this.post(done, { ...place, ...outcome }),
      (error: unknown) => this.post(failed, { ...place, error: serializeError(error, this.address) }),
    );
  }

  free(arrays: readonly Carried[]): void {
    const { free } = this.#house.options;
    // After the turn: its packet is released first, and the transport still looks at the frames then.
    if (free !== undefined) queueMicrotask(() => free(arrays.filter(travels)));
  }

  wait(request: WaitRequest): void {
    if (!this.#isAlive) return;
    const { options, waits } = this.#house;
    options.probe?.waitBegan({ ...request, owner: this.address });
    waits.begin(this.address, request, (error, wait) => options.onStuck(error, wait));
  }

  answered(name: string, by: Address): void {
    this.#house.waits.answered(this.address, name, by);
  }

  endWait(name: string): void {
    this.#house.options.probe?.waitEnded(this.address, name);
    this.#house.waits.end(this.address, name);
  }

  fail(error: TroupeError): void {
    if (this.#isAlive) this.#house.fail(this.#cell, error);
  }

  #run(device: Device, calls: readonly KernelCall[], done: string | null, fields: MessageFields): void {
    const { probe } = this.#house.options;
    const submittedMs = probe?.submitted() ?? 0;
    device.submit(calls, (completion) => {
      probe?.completed({ owner: this.address, device, calls, fields, submittedMs, completion });
      const { error, kernelMs } = completion;
      if (error !== null)
        this.post('kernel.failed', { ...fields, error: serializeError(error, this.address) });
      else if (done !== null && this.#isAlive)
        this.#house.deliver(this.#cell, actorEvent(done, this.address, fields, kernelMs));
    });
  }
}
