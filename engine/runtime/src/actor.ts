import type {
  Address,
  Clock,
  Completion,
  Device,
  KernelCall,
  Logger,
  SerializedError,
  TensorArray,
  TroupeError,
} from '@troupe/core';
import type { WireValue } from '@troupe/wire';
import type { WaitRequest } from './waits.ts';

/**
 * What a mailbox holds: a message, a kernel's completion, a timer or a reply, all of one shape, so that an actor is a function of
 * its event order alone. Absent numbers are 0; `layer` and `microbatch` are -1 when they do not apply.
 */
export interface ActorEvent {
  /** `noun.verb`. */
  readonly type: string;
  readonly from: Address;
  readonly step: number;
  readonly attempt: number;
  /** Number of updates the parameters it speaks of have received. */
  readonly version: number;
  readonly layer: number;
  readonly microbatch: number;
  readonly body: Readonly<Record<string, WireValue>>;
  readonly tensors: readonly TensorArray[];
  /** Set on a request: pass the event to `reply`. */
  readonly correlation?: number;
  readonly error?: SerializedError;
  /** Time inside kernels of a completion, milliseconds. */
  readonly kernelMs?: number;
}

/** The parts of a message that its sender chooses; the rest is filled in. */
export type MessageFields = Partial<
  Pick<ActorEvent, 'step' | 'attempt' | 'version' | 'layer' | 'microbatch' | 'body' | 'tensors'>
>;

export interface AskOptions {
  readonly deadlineMs: number;
  /** In words, for the hang report. */
  readonly reason: string;
}

/** All that an actor's effects may touch. Handlers are synchronous; everything that takes time comes back as an event. */
export interface Self {
  readonly address: Address;
  readonly clock: Clock;
  readonly logger: Logger;
  tell(to: Address, type: string, fields?: MessageFields): void;
  /** The reply arrives as an event of the reply's own type; a refusal, an error or a passed deadline as `ask.failed`. */
  ask(to: Address, type: string, fields: MessageFields, options: AskOptions): void;
  reply(request: ActorEvent, type: string, fields?: MessageFields): void;
  /** Answers a request with an error: the asker gets `ask.failed`. */
  refuse(request: ActorEvent, error: TroupeError): void;
  /** Puts an event into the own mailbox. */
  post(
    type: string,
    fields?: MessageFields & { readonly error?: SerializedError; readonly kernelMs?: number },
  ): void;
  /** Queues kernels; their completion arrives as `done`, a failure as `kernel.failed`. */
  submit(device: Device, calls: readonly KernelCall[], done: string, fields?: MessageFields): void;
  /**
   * The same, but `done` comes as soon as the kernels are queued: for results that only later lists on the same device read, which run in
   * the order of submission. Nothing else may look at them before a list submitted later has completed. A failure still arrives as `kernel.failed`.
   */
  queue(device: Device, calls: readonly KernelCall[], done: string, fields?: MessageFields): void;
  /** Carries a promise's outcome into the mailbox: `done` with the fields it resolves to, or `failed` with the error. */
  settle(promise: Promise<MessageFields>, done: string, failed: string, fields?: MessageFields): void;
  /**
   * Says that arrays which came in a message from another node are read no more, so that their memory may be freed at once. Never for
   * arrays of an actor beside: these are the sender's own.
   */
  free(arrays: readonly TensorArray[]): void;
  /** Starts a wait with owner, deadline and reason; when it expires the run's hang report is made. */
  wait(request: WaitRequest): void;
  answered(name: string, by: Address): void;
  endWait(name: string): void;
  /** Ends this actor with an error: its supervision decides what follows. */
  fail(error: TroupeError): void;
}

/** What runs when a machine's action is due. Named as in the machine. */
export type Effects<Context, Event extends ActorEvent = ActorEvent> = Readonly<
  Record<string, (event: Event, context: Context, params: never) => void>
>;

/** A machine that xstate's `setup().createMachine()` made. Its type stays inside, so that who uses actors does not compile xstate's. */
export interface Machine {
  readonly id: string;
  readonly config: object;
}

/** One life of an actor: its machine with input, and its effects over `self`. */
export interface Behaviour {
  readonly machine: Machine;
  readonly input: unknown;
  readonly effects: Effects<never, never>;
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

export interface Supervision {
  /** one-for-one restarts the failed actor; rest-for-one also those mounted after it; escalate ends the system's run. */
  readonly strategy: 'one-for-one' | 'rest-for-one' | 'escalate';
  /** Most restarts within `periodMs` before the failure escalates. */
  readonly intensity: number;
  readonly periodMs: number;
}

export const escalate: Supervision = { strategy: 'escalate', intensity: 0, periodMs: 1 };

export type { Completion };
