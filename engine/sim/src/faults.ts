import { assert } from '@troupe/core';

/** What a fault is aimed at, and so the form of its `target`. */
export type FaultAim = 'process' | 'actor' | 'device' | 'link' | 'disk';

interface KindInfo {
  readonly kind: string;
  /** The forms of `target` that it takes. */
  readonly aims: readonly FaultAim[];
  /** What happens, and what the ports above must then see. */
  readonly meaning: string;
  readonly takes: readonly ('forMs' | 'restartAfterMs' | 'factor' | 'oneWay')[];
}

/**
 * Every kind: what it does below a port, and what that port's contract makes of it.
 *
 * A transport is a connection, so a packet is never missing alone: what TCP cannot mend in time ends the connection. Both ends then
 * see `peer.lost`, everything on the way in either direction and lane is gone (`sent` gets TROUPE_TRANSPORT_PEER_LOST), and the next
 * `peer.up` begins an empty connection, of the same lives or of a later one. That is the only way in which a message can be lost
 * between two living processes.
 */
const kinds = [
  {
    kind: 'crash',
    aims: ['process', 'actor'],
    meaning:
      'A process dies without a goodbye: peers see peer.lost after one latency (a closed connection). A machine dies with all its processes and its unsynced files: peers see peer.lost after the silence limit. An actor fails in its turn, with TROUPE_SIM_CRASH. A process or machine may be started again `restartAfterMs` later, at once by default; -1: never.',
    takes: ['restartAfterMs'],
  },
  {
    kind: 'hang',
    aims: ['process'],
    meaning:
      'A process stands still (SIGSTOP, swapping): no turn, no timer, no completion. Beyond the silence limit peers see peer.lost; it then wakes as a zombie, which must be fenced by its incarnation.',
    takes: ['forMs'],
  },
  {
    kind: 'slow',
    aims: ['device', 'process'],
    meaning: 'A straggler: kernels of the process take `factor` times as long.',
    takes: ['forMs', 'factor'],
  },
  {
    kind: 'skew',
    aims: ['process'],
    meaning:
      "The process's monotonic clock runs `factor` times as fast: deadlines and heartbeats come early or late.",
    takes: ['forMs', 'factor'],
  },
  {
    kind: 'nan',
    aims: ['device'],
    meaning:
      'The next backward kernels find a non-finite gradient leaf, once: the step is replayed with the same numbers.',
    takes: [],
  },
  {
    kind: 'drop',
    aims: ['link'],
    meaning:
      'A packet never arrives and nobody sends it again: the next one shows a gap, and the connection is lost.',
    takes: ['oneWay'],
  },
  {
    kind: 'duplicate',
    aims: ['link'],
    meaning:
      'A packet comes twice: its number shows it, and the connection is lost. It is never delivered twice.',
    takes: ['oneWay'],
  },
  {
    kind: 'corrupt',
    aims: ['link'],
    meaning:
      'Bits of a packet flip: its authentication (CURVE) shows it before anybody reads it, it counts as refused, and the connection is lost.',
    takes: ['oneWay'],
  },
  {
    kind: 'delay',
    aims: ['link'],
    meaning: 'Latency grows by `factor` times; order holds.',
    takes: ['forMs', 'factor', 'oneWay'],
  },
  {
    kind: 'partition',
    aims: ['link', 'process'],
    meaning:
      'Nothing passes, in one direction or both. Shorter than the silence limit it is a delay; longer, both ends see peer.lost, and no connection stands before it ends. On a process: all its links.',
    takes: ['forMs', 'oneWay'],
  },
  {
    kind: 'clog',
    aims: ['link', 'process'],
    meaning: 'Bandwidth falls to 1 / `factor`; heartbeats pass, so nothing is lost.',
    takes: ['forMs', 'factor', 'oneWay'],
  },
  {
    kind: 'disk-full',
    aims: ['disk'],
    meaning: 'Writes fail with TROUPE_STORAGE_FULL.',
    takes: ['forMs'],
  },
  {
    kind: 'torn-write',
    aims: ['disk'],
    meaning:
      'The next file that is committed keeps only a part of its bytes, while the write reports success: whoever reads it must notice.',
    takes: [],
  },
  {
    kind: 'lost-unsynced',
    aims: ['disk'],
    meaning:
      'The machine loses power: names that were not synced with their folder are gone. Its processes crash.',
    takes: ['restartAfterMs'],
  },
  {
    kind: 'bit-flip',
    aims: ['disk'],
    meaning: 'The next read returns one flipped bit; the file itself is intact.',
    takes: [],
  },
] as const satisfies readonly KindInfo[];

/** What can go wrong, by name; each is described at {@link faultKinds}. */
export type FaultKind = (typeof kinds)[number]['kind'];

export interface FaultKindInfo extends KindInfo {
  readonly kind: FaultKind;
}

export const faultKinds: readonly FaultKindInfo[] = kinds;

/**
 * One fault of a plan. Plain data: written in a topology, drawn by a seed, or shrunk.
 *
 * Exactly one of `atMs`, `atStep` and `when` says when it strikes.
 */
export interface Fault {
  readonly kind: FaultKind;
  /**
   * `worker/1`, `host/0`, `agent/0`, `lead/0` (process or its device), `machine/0` (all processes of a machine), an actor's address
   * (`expert/L0/ep0/edp1`), a link `worker/0,worker/1` (from, to), or `disk/0` (of a machine).
   */
  readonly target: string;
  /** Virtual time, milliseconds. */
  readonly atMs?: number | undefined;
  /** When the trainer opens this step, from 1. */
  readonly atStep?: number | undefined;
  /** After the turn in which an actor whose address matches (`*` within a part) enters a state, `times` times (default 1). */
  readonly when?: FaultCondition | undefined;
  /** How long it lasts; default 1000. */
  readonly forMs?: number | undefined;
  /** Of a crash: how long nothing can be started there; -1: never again. Default 0. */
  readonly restartAfterMs?: number | undefined;
  /** Of slow, skew, delay, clog. Default 4. */
  readonly factor?: number | undefined;
  /** Only from the first to the second of the link. Default false. */
  readonly oneWay?: boolean | undefined;
}

export interface FaultCondition {
  readonly actor: string;
  /** A state as in reports, or the part before a dot: `serving` also means `serving.forwarding`. */
  readonly state: string;
  readonly times?: number | undefined;
}

export const DEFAULT_FAULT_MS = 1000;
export const DEFAULT_FAULT_FACTOR = 4;

export const faultInfo = (kind: FaultKind): FaultKindInfo => {
  const found = faultKinds.find((info) => info.kind === kind);
  assert(found, 'a plan was validated', { kind });
  return found;
};

function ordinal(n: number): string {
  const suffix = n % 100 > 10 && n % 100 < 14 ? 'th' : (['th', 'st', 'nd', 'rd'][n % 10] ?? 'th');
  return `${n}${suffix}`;
}

/** `crash worker/1 at step 3, restarts after 200 ms`. */
export function describeFault(fault: Fault): string {
  const { kind, target, atMs, atStep, when, forMs, restartAfterMs, factor, oneWay } = fault;
  const at =
    when === undefined
      ? atStep === undefined
        ? `at ${atMs ?? 0} ms`
        : `at step ${atStep}`
      : `when ${when.actor} is ${when.state}${when.times === undefined || when.times === 1 ? '' : ` for the ${ordinal(when.times)} time`}`;
  const parts = [
    `${kind} ${target}${oneWay === true ? ' one way' : ''} ${at}`,
    forMs === undefined ? '' : `for ${forMs} ms`,
    factor === undefined ? '' : `factor ${factor}`,
    restartAfterMs === undefined
      ? ''
      : restartAfterMs < 0
        ? 'never restarts'
        : `restarts after ${restartAfterMs} ms`,
  ];
  return parts.filter((part) => part !== '').join(', ');
}
