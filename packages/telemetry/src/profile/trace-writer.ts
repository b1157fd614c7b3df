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

/** Rows of a process: the threads of its device first, then its event loop, then its actors in order of appearance. */
const FIRST_THREAD = 1;
const LOOP_ROW = 1000;
const STEP_ROW = 1001;
const FIRST_ACTOR = 2000;

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

/**
 * Packets that were both sent and handled while their ends were profiled: an arrow needs two ends. A name that comes twice is two packets
 * with the same header; they are told apart by their order, which the transport keeps.
 */
export class PacketMatch {
  readonly #sent = new Map<string, number>();
  readonly #handled = new Map<string, number>();

  see(record: ProfileRecord): void {
    if (record.kind === 'send') count(this.#sent, record.packet);
    else if (record.kind === 'turn' && record.packet !== undefined) count(this.#handled, record.packet);
  }

  /** True for the `index`-th packet (from 0) of this name when its other end is known. */
  has(packet: string, index: number): boolean {
    return index < Math.min(this.#sent.get(packet) ?? 0, this.#handled.get(packet) ?? 0);
  }

  /** Packets with both ends. */
  get numMatched(): number {
    let sum = 0;
    for (const [packet, sent] of this.#sent) sum += Math.min(sent, this.#handled.get(packet) ?? 0);
    return sum;
  }
}

function count(map: Map<string, number>, key: string): number {
  const before = map.get(key) ?? 0;
  map.set(key, before + 1);
  return before;
}

/**
 * Turns the records of one process, in their order, into trace events.
 *
 * PRO-1: every record becomes events of its own time, so the events of a row nest. PRO-2: an arrow has two ends.
 */
export class TraceWriter {
  readonly #pid: number;
  readonly #match: PacketMatch;
  readonly #sent: Map<string, number>;
  readonly #handled: Map<string, number>;
  readonly #rows = new Map<string, number>();
  /** When an actor's last turn ended, and in which state. */
  readonly #states = new Map<string, { readonly since: number; readonly state: string }>();
  readonly #mailboxes = new Map<string, number>();
  #bytesSent = 0;
  #bytesReceived = 0;
  #numWaits = 0;

  /**
   * @param pid - of the trace: any number that no other process has
   * @param ends - ends of packets seen so far; shared by the writers of one trace
   */
  constructor(
    pid: number,
    match: PacketMatch,
    ends: { readonly sent: Map<string, number>; readonly handled: Map<string, number> },
  ) {
    this.#pid = pid;
    this.#match = match;
    this.#sent = ends.sent;
    this.#handled = ends.handled;
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
    yield this.#meta('process_name', 0, { name: `${name} (process ${pid})` });
    yield this.#meta('process_sort_index', 0, { sort_index: this.#pid });
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
      const index = count(this.#handled, packet);
      const id = `${packet}.${index}`;
      if (this.#match.has(packet, index))
        yield { ...this.#at(row, 'message', event, start), ph: 'f', bp: 'e', id };
    }
    if (mailbox !== (this.#mailboxes.get(actor) ?? 0)) {
      this.#mailboxes.set(actor, mailbox);
      yield this.#counter(`mailbox ${actor}`, end, { events: mailbox });
    }
  }

  *#send({ actor, to, message, packet, bytes, start, end }: SendRecord): Generator<TraceEvent> {
    const row = yield* this.#actorRow(actor);
    yield this.#slice(row, 'message', `send ${message}`, start, end, { to, bytes });
    const index = count(this.#sent, packet);
    if (this.#match.has(packet, index))
      yield {
        ...this.#at(row, 'message', message, start, { to, bytes }),
        ph: 's',
        id: `${packet}.${index}`,
      };
    this.#bytesSent += bytes;
    yield this.#counter('bytes sent', end, { bytes: this.#bytesSent });
  }

  *#receive({ to, message, bytes, start, end }: ReceiveRecord): Generator<TraceEvent> {
    yield this.#slice(LOOP_ROW, 'loop', `receive ${message}`, start, end, { to, bytes });
    this.#bytesReceived += bytes;
    yield this.#counter('bytes received', end, { bytes: this.#bytesReceived });
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
    return { ph: 'C', name, pid: this.#pid, ts: micros(time), args };
  }
}
