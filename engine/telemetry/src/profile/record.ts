/**
 * What one process notes while it is profiled, a line of JSON each. Times are milliseconds of the machine's monotonic clock since the
 * run's origin, so those of several processes of one machine stand on one axis.
 */
export type ProfileRecord =
  NodeRecord | StepRecord | TurnRecord | SendRecord | ReceiveRecord | ListRecord | WaitRecord | EndRecord;

/** Who speaks; a process that was restarted begins its part of the file with another one. */
export interface NodeRecord {
  readonly kind: 'node';
  readonly node: string;
  readonly pid: number;
  /** Name and threads of its device; null for a process without one. */
  readonly device: { readonly name: string; readonly threads: number } | null;
}

/** A step's time as the trainer counts it. */
export interface StepRecord {
  readonly kind: 'step';
  readonly step: number;
  readonly start: number;
  readonly end: number;
}

/** Fields of what happens on the event loop. */
interface Activity {
  readonly start: number;
  readonly end: number;
  /** Time that the event loop has slept since its process began, read at `start`. */
  readonly slept: number;
}

/** An actor handled one event. */
export interface TurnRecord extends Activity {
  readonly kind: 'turn';
  readonly actor: string;
  readonly event: string;
  readonly from: string;
  readonly before: string;
  readonly after: string;
  readonly outcome: string;
  readonly step: number;
  readonly attempt: number;
  /** -1: does not apply. */
  readonly layer: number;
  readonly microbatch: number;
  /** Events that wait in the actor's mailbox. */
  readonly mailbox: number;
  /** The packet that brought the event; absent when it was made in this process. */
  readonly packet?: string;
}

/** A message left for another process, inside a turn. */
export interface SendRecord {
  readonly kind: 'send';
  readonly actor: string;
  readonly to: string;
  readonly message: string;
  readonly packet: string;
  readonly bytes: number;
  readonly start: number;
  readonly end: number;
}

/** A packet was read and lies in a mailbox. */
export interface ReceiveRecord extends Activity {
  readonly kind: 'receive';
  readonly to: string;
  readonly message: string;
  readonly packet: string;
  readonly bytes: number;
}

/**
 * One call of a list: operation, sizes, FLOPs, bytes, start, end; then for each thread its first start, its last end and its time inside
 * loops (zeros: took no part). A body that knows whole lists only gives one of these for all calls.
 */
export type CallTuple = readonly [
  op: string,
  shape: string,
  flops: number,
  bytes: number,
  start: number,
  end: number,
  ...threads: readonly number[],
];

/** A list of kernels is complete; `start` … `end` is its completion's own time on the event loop. */
export interface ListRecord extends Activity {
  readonly kind: 'list';
  readonly owner: string;
  readonly submitted: number;
  readonly step: number;
  readonly layer: number;
  readonly microbatch: number;
  readonly calls: readonly CallTuple[];
}

/** An actor waited for others. */
export interface WaitRecord {
  readonly kind: 'wait';
  readonly owner: string;
  readonly reason: string;
  readonly awaited: readonly string[];
  readonly start: number;
  readonly end: number;
}

/** The last of a process; absent when it was killed. */
export interface EndRecord {
  readonly kind: 'end';
  /** True when there was more than it may write. */
  readonly isTruncated: boolean;
}
