import type { Address, Clock, Logger, SerializedError, TroupeError } from '@troupe/core';
import type { Completion, Device, KernelCall } from '@troupe/kernel-set';
import type { WireValue } from '@troupe/wire';
import type { BodyOf, Carried, Shape, Shapes, TensorsOf } from './message-shape.ts';
import type { WaitRequest } from './waits.ts';

/**
 * What a mailbox holds: a message, a kernel's completion, a timer or a reply, all of one shape, so that an actor is a function of
 * its event order alone. Absent numbers are 0; `layer` and `microbatch` are -1 when they do not apply.
 */
export interface ActorEvent extends EventHeader {
  /** `noun.verb`. */
  readonly type: string;
  readonly body: Readonly<Record<string, WireValue | undefined>>;
  /** By name. */
  readonly tensors: Readonly<Record<string, Carried | undefined>>;
}

/** What every event has, whatever its kind. */
export interface EventHeader {
  readonly from: Address;
  readonly step: number;
  readonly attempt: number;
  /** Number of updates the parameters it speaks of have received. */
  readonly version: number;
  readonly layer: number;
  readonly microbatch: number;
  /** Set on a request: pass the event to `reply`. */
  readonly correlation?: number;
  readonly error?: SerializedError;
  /** Time inside kernels of a completion, milliseconds. */
  readonly kernelMs?: number;
}

/** An event of a kind whose shape is known. */
export interface ShapedEvent<K extends string, S extends Shape> extends EventHeader {
  readonly type: K;
  readonly body: BodyOf<S['body']>;
  readonly tensors: TensorsOf<S['tensors']>;
}

/** The events of these kinds. */
export type EventOf<S extends Shapes> = {
  [K in keyof S & string]: ShapedEvent<K, S[K]>;
}[keyof S & string];

/** Where in a run a message belongs. */
export type Place = Partial<Pick<EventHeader, 'step' | 'attempt' | 'version' | 'layer' | 'microbatch'>>;

/** The parts of a message that its sender chooses; the rest is filled in. */
export type MessageFields = Place & Partial<Pick<ActorEvent, 'body' | 'tensors'>>;

/** {@link MessageFields} of a kind whose shape is known. */
export type FieldsOf<S extends Shape> = Place &
  Needed<'body', BodyOf<S['body']>> &
  Needed<'tensors', TensorsOf<S['tensors']>>;

type Nothing = Readonly<Record<string, never>>;

/** A part that may be left out where all that it holds may be. */
type Needed<Name extends 'body' | 'tensors', Part> = Nothing extends Part
  ? { readonly [K in Name]?: Part }
  : { readonly [K in Name]: Part };

/** Arguments that say what a message holds; none where nothing must be said. */
export type FieldsArgument<S extends Shape> =
  Nothing extends FieldsOf<S> ? [fields?: FieldsOf<S>] : [fields: FieldsOf<S>];

export interface AskOptions {
  readonly deadlineMs: number;
  /** In words, for the hang report. */
  readonly reason: string;
}

/**
 * All that an actor's effects may touch. Handlers are synchronous; everything that takes time comes back as an event.
 *
 * `Sent`: the kinds that its role sends; `Own`: the events that come back to itself.
 */
export interface Self<Sent extends Shapes = Shapes, Own extends Shapes = Shapes> {
  readonly address: Address;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether an actor lives on the same node, and so stands on the same device memory: the directory's answer. */
  isBeside(address: Address): boolean;
  tell<K extends keyof Sent & string>(to: Address, kind: K, ...fields: FieldsArgument<Sent[K]>): void;
  /** The reply arrives as an event of the reply's own type; a refusal, an error or a passed deadline as `ask.failed`. */
  ask<K extends keyof Sent & string>(
    to: Address,
    kind: K,
    fields: FieldsOf<Sent[K]>,
    options: AskOptions,
  ): void;
  reply<K extends keyof Sent & string>(
    request: EventHeader,
    kind: K,
    ...fields: FieldsArgument<Sent[K]>
  ): void;
  /** Answers a request with an error: the asker gets `ask.failed`. */
  refuse(request: EventHeader & { readonly type: string }, error: TroupeError): void;
  /** Puts an event into the own mailbox. */
  post<K extends keyof Own & string>(type: K, ...fields: FieldsArgument<Own[K]>): void;
  /** Puts an event that came before, and was set aside, into the own mailbox once more, as from its sender. */
  takeUp(event: ActorEvent): void;
  /** Queues kernels; their completion arrives as `done`, a failure as `kernel.failed`. */
  submit<K extends keyof Own & string>(
    device: Device,
    calls: readonly KernelCall[],
    done: K,
    ...fields: FieldsArgument<Own[K]>
  ): void;
  /**
   * The same, but `done` comes as soon as the kernels are queued: for results that only later lists on the same device read, which run in
   * the order of submission. Nothing else may look at them before a list submitted later has completed. A failure still arrives as `kernel.failed`.
   */
  queue<K extends keyof Own & string>(
    device: Device,
    calls: readonly KernelCall[],
    done: K,
    ...fields: FieldsArgument<Own[K]>
  ): void;
  /** Carries a promise's outcome into the mailbox: `done` with the fields it resolves to, or `failed` with the error. */
  settle<K extends keyof Own & string>(
    promise: Promise<FieldsOf<Own[K]>>,
    done: K,
    failed: keyof Own & string,
    place?: Place,
  ): void;
  /**
   * Says that arrays which came in a message from another node are read no more, so that their memory may be freed at once. Never for
   * arrays of an actor beside: these are the sender's own.
   */
  free(arrays: readonly Carried[]): void;
  /** Starts a wait with owner, deadline and reason; when it expires the run's hang report is made. */
  wait(request: WaitRequest): void;
  answered(name: string, by: Address): void;
  endWait(name: string): void;
  /** Ends this actor with an error: its supervision decides what follows. */
  fail(error: TroupeError): void;
}

/** What runs when a machine's action is due, by the action's name; {@link EffectsOf} is its type for one machine. */
export type Effects = Readonly<Record<string, (event: never, context: never) => void>>;

/** A machine that xstate's `setup().createMachine()` made. Its type stays inside, so that who uses actors does not compile xstate's. */
export interface Machine {
  readonly id: string;
  readonly config: object;
}

/** One life of an actor: its machine with input, and its effects over `self`. */
export interface Behaviour {
  readonly machine: Machine;
  readonly input: unknown;
  readonly effects: Effects;
  /**
   * The epoch an actor is in; events of `fenced` types from before it are dropped and counted. Attempts never fall during a run, steps
   * may (a run can go back to a snapshot), so the attempt decides first. Absent: nothing is fenced.
   */
  readonly epoch?: (context: never) => { readonly step: number; readonly attempt: number };
  readonly fenced?: ReadonlySet<string>;
  /** Frees what this life held. */
  readonly dispose?: () => void;
}

export type Mount = (self: Self) => Behaviour;

/** A mount whose actor knows what its role sends and what comes back to itself. */
export const mountOf = <Sent extends Shapes, Own extends Shapes>(
  mount: (self: Self<Sent, Own>) => Behaviour,
): Mount => mount;

export interface Supervision {
  /** one-for-one restarts the failed actor; rest-for-one also those mounted after it; escalate ends the system's run. */
  readonly strategy: 'one-for-one' | 'rest-for-one' | 'escalate';
  /** Most restarts within `periodMs` before the failure escalates. */
  readonly intensity: number;
  readonly periodMs: number;
}

export const escalate: Supervision = { strategy: 'escalate', intensity: 0, periodMs: 1 };

export type { Completion };
