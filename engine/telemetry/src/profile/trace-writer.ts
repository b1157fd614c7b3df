import type {
  ListRecord,
  NodeRecord,
  ProfileRecord,
  ReceiveRecord,
  SendRecord,
  StepRecord,
  TurnRecord,
  WaitRecord,
} from './record.ts';
import type { TraceArg, TraceEvent } from './trace-event.ts';

/**
 * Rows of a process: the threads of its device first, then its event loop, then its actors in order of appearance. Far from any number of
 * a process: a viewer takes the row of that number for its main thread.
 */
const FIRST_THREAD = 1_000_000;
const LOOP_ROW = 2_000_000;
const STEP_ROW = 2_000_001;
const FIRST_ACTOR = 3_000_000;

/** Milliseconds to microseconds, to the nanosecond. */
const micros = (ms: number): number => Math.round(ms * 1e6) / 1e3;

/** What `args` say of where in a model something happened; what does not apply is left out. */
function place(record: {
  readonly step: number;
  readonly layer: number;
  readonly microbatch: number;
}): Readonly<Record<string, number>> {
  const { step, layer, microbatch } = record;
  return {
    ...(step > 0 ? { step } : {}),
    ...(layer >= 0 ? { layer } : {}),
    ...(microbatch >= 0 ? { microbatch } : {}),
  };
}

/** Occurrences of each name. */
class Counts {
  readonly #counts = new Map<string, number>();

  /** Adds one and gives how many there were before. */
  next(name: string): number {
    const before = this.of(name);
    this.#counts.set(name, before + 1);
    return before;
  }

  of(name: string): number {
    return this.#counts.get(name) ?? 0;
  }
}

/**
 * The arrows of a trace: packets that were both sent and handled while their ends were profiled.
 *
 * First every record is seen, then every end asks for its arrow. A name that comes twice is two packets with the same header; they are
 * told apart by their order, which the transport keeps.
 */
export class Arrows {
  readonly #seen = { sent: new Counts(), handled: new Counts() };
  readonly #asked = { sent: new Counts(), handled: new Counts() };
  /** Numbers of arrows of which one end has asked. */
  readonly #open = new Map<string, number>();
  #last = 0;
  #numSent = 0;

  see(record: ProfileRecord): void {
    if (record.kind === 'send') this.#seen.sent.next(record.packet);
    else if (record.kind === 'turn' && record.packet !== undefined) this.#seen.handled.next(record.packet);
  }

  /** Number of the arrow that begins or ends here, from 1; null when its other end is not known. */
  number(packet: string, end: 'sent' | 'handled'): number | null {
    const index = this.#asked[end].next(packet);
    if (index >= Math.min(this.#seen.sent.of(packet), this.#seen.handled.of(packet))) return null;
    if (end === 'sent') this.#numSent++;
    const key = `${packet}.${index}`;
    const number = this.#open.get(key) ?? ++this.#last;
    if (!this.#open.delete(key)) this.#open.set(key, number);
    return number;
  }

  /** Arrows that have been given a beginning. */
  get size(): number {
    return this.#numSent;
  }
}

/**
 * Turns the records of one process, in their order, into trace events.
 *
 * PRO-1: every record becomes events of its own time, so the events of a row nest. PRO-2: an arrow has two ends.
 */
export class TraceWriter {
  readonly #pid: number;
  readonly #arrows: Arrows;
  readonly #rows = new Map<string, number>();
  /** When an actor's last turn ended, and in which state. */
  readonly #states = new Map<string, { readonly since: number; readonly state: string }>();
  readonly #mailboxes = new Map<string, number>();
  #bytesSent = 0;
  #bytesReceived = 0;
  #numWaits = 0;

  /**
   * @param pid - of the trace: any number that no other process has
   * @param arrows - have seen every record of the trace; shared by its writers
   */
  constructor(pid: number, arrows: Arrows) {
    this.#pid = pid;
    this.#arrows = arrows;
  }

  *events(record: ProfileRecord): Generator<TraceEvent> {
    switch (record.kind) {
      case 'node':
        yield* this.#node(record);
        break;
      case 'step':
        yield* this.#step(record);
        break;
      case 'turn':
        yield* this.#turn(record);
        break;
      case 'send':
        yield* this.#send(record);
        break;
      case 'receive':
        yield* this.#receive(record);
        break;
      case 'list':
        yield* this.#list(record);
        break;
      case 'wait':
        yield* this.#wait(record);
        break;
      case 'end':
        break;
    }
  }

  *#node({ node, pid, device }: NodeRecord): Generator<TraceEvent> {
    const name = device === null ? node : `${node}: ${device.name}`;
    yield this.#meta('process_name', LOOP_ROW, { name: `${name} (process ${pid})` });
    yield this.#meta('process_sort_index', LOOP_ROW, { sort_index: this.#pid });
    for (let thread = 0; thread < (device?.threads ?? 0); thread++)
      yield* this.#row(FIRST_THREAD + thread, `device thread ${thread}`);
    yield* this.#row(LOOP_ROW, 'event loop');
  }

  *#step({ step, start, end }: StepRecord): Generator<TraceEvent> {
    if (!this.#rows.has('steps')) {
      this.#rows.set('steps', STEP_ROW);
      yield* this.#row(STEP_ROW, 'steps');
    }
    yield this.#slice(STEP_ROW, 'step', `step ${step}`, start, end);
  }

  *#turn(record: TurnRecord): Generator<TraceEvent> {
    const { actor, event, from, before, after, outcome, attempt, mailbox, packet, start, end } = record;
    const row = yield* this.#actorRow(actor);
    const earlier = this.#states.get(actor);
    if (earlier !== undefined)
      yield this.#slice(row, 'state', earlier.state, earlier.since, start, {
        until: `${event} from ${from}`,
      });
    this.#states.set(actor, { since: end, state: after });
    yield this.#slice(row, 'turn', event, start, end, {
      from,
      state: before === after ? after : `${before} → ${after}`,
      ...place(record),
      ...(attempt > 1 ? { attempt } : {}),
      ...(outcome === 'handled' ? {} : { outcome }),
    });
    if (packet !== undefined) {
      const id = this.#arrows.number(packet, 'handled');
      if (id !== null) yield { ...this.#at(row, 'message', event, start), ph: 'f', bp: 'e', id };
    }
    if (mailbox !== (this.#mailboxes.get(actor) ?? 0)) {
      this.#mailboxes.set(actor, mailbox);
      yield this.#counter(`mailbox ${actor}`, end, { events: mailbox });
    }
  }

  *#send({ actor, to, message, packet, bytes, start, end }: SendRecord): Generator<TraceEvent> {
    const row = yield* this.#actorRow(actor);
    yield this.#slice(row, 'message', `send ${message}`, start, end, { to, bytes });
    const id = this.#arrows.number(packet, 'sent');
    if (id !== null) yield { ...this.#at(row, 'message', message, start, { to, bytes }), ph: 's', id };
    this.#bytesSent += bytes;
    yield this.#counter('wire bytes', end, { sent: this.#bytesSent });
  }

  *#receive({ to, message, bytes, start, end }: ReceiveRecord): Generator<TraceEvent> {
    yield this.#slice(LOOP_ROW, 'loop', `receive ${message}`, start, end, { to, bytes });
    this.#bytesReceived += bytes;
    yield this.#counter('wire bytes', end, { received: this.#bytesReceived });
  }

  *#list(record: ListRecord): Generator<TraceEvent> {
    const { owner, submitted, calls, start, end } = record;
    yield this.#slice(LOOP_ROW, 'loop', 'completion', start, end, { of: owner });
    const [first, last] = [calls[0], calls.at(-1)];
    if (first === undefined || last === undefined) return;
    yield this.#slice(FIRST_THREAD, 'list', owner, first[4], last[5], {
      ...place(record),
      queuedMs: Math.round((first[4] - submitted) * 1e3) / 1e3,
    });
    for (const [op, shape, flops, bytes, from, to, ...threads] of calls) {
      const seconds = (to - from) / 1000;
      yield this.#slice(FIRST_THREAD, 'kernel', op, from, to, {
        shape,
        ...place(record),
        flops,
        bytes,
        ...(seconds > 0
          ? { gflopsPerSecond: flops / seconds / 1e9, gigabytesPerSecond: bytes / seconds / 1e9 }
          : {}),
        ...(threads.length === 0 ? {} : { busyMs: threads[2] ?? 0 }),
      });
      // The first thread is the queue's own: its slice is the call.
      for (let thread = 1; 3 * thread < threads.length; thread++) {
        const [begin = 0, stop = 0, busyMs = 0] = threads.slice(3 * thread, 3 * thread + 3);
        if (begin > 0) yield this.#slice(FIRST_THREAD + thread, 'kernel', op, begin, stop, { shape, busyMs });
      }
    }
  }

  *#wait({ owner, reason, awaited, start, end }: WaitRecord): Generator<TraceEvent> {
    const row = yield* this.#actorRow(owner);
    const id = `${this.#pid}.${++this.#numWaits}`;
    const name = `${owner} waits: ${reason}`;
    yield { ...this.#at(row, 'wait', name, start, { awaited }), ph: 'b', id };
    yield { ...this.#at(row, 'wait', name, end), ph: 'e', id };
  }

  *#actorRow(actor: string): Generator<TraceEvent, number> {
    const known = this.#rows.get(actor);
    if (known !== undefined) return known;
    const row = FIRST_ACTOR + this.#rows.size;
    this.#rows.set(actor, row);
    yield* this.#row(row, actor);
    return row;
  }

  *#row(tid: number, name: string): Generator<TraceEvent> {
    yield this.#meta('thread_name', tid, { name });
    yield this.#meta('thread_sort_index', tid, { sort_index: tid });
  }

  #meta(
    name: Extract<TraceEvent, { ph: 'M' }>['name'],
    tid: number,
    args: Readonly<Record<string, string | number>>,
  ): TraceEvent {
    return { ph: 'M', name, pid: this.#pid, tid, args };
  }

  #slice(
    tid: number,
    cat: Extract<TraceEvent, { ph: 'X' }>['cat'],
    name: string,
    start: number,
    end: number,
    args: Readonly<Record<string, TraceArg>> = {},
  ): TraceEvent {
    const ts = micros(start);
    // From rounded ends, so that what nests in time nests in the file.
    const dur = Math.max(0, Math.round((micros(end) - ts) * 1e3) / 1e3);
    return { ...this.#at(tid, cat, name, start, args), ph: 'X', dur };
  }

  #at(
    tid: number,
    cat: Extract<TraceEvent, { ph: 'X' }>['cat'],
    name: string,
    time: number,
    args?: Readonly<Record<string, TraceArg>>,
  ) {
    return { name, cat, pid: this.#pid, tid, ts: micros(time), ...(args === undefined ? {} : { args }) };
  }

  #counter(name: string, time: number, args: Readonly<Record<string, number>>): TraceEvent {
    return { ph: 'C', name, pid: this.#pid, tid: LOOP_ROW, ts: micros(time), args };
  }
}
