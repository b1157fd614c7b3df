import type { HostArray } from '@troupe/core';
import type { DeviceArray } from '@troupe/kernel-set';
import type { Fault } from '../faults.ts';

/** One event handled by one actor. */
export interface TurnSeen {
  readonly type: 'turn';
  readonly atMs: number;
  readonly node: string;
  /** Life of the node, and of the actor in it. */
  readonly life: number;
  readonly incarnation: number;
  readonly address: string;
  /** Of the event: `gradient.add`. */
  readonly kind: string;
  readonly from: string;
  readonly step: number;
  readonly attempt: number;
  readonly version: number;
  readonly layer: number;
  readonly microbatch: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly tensors: Readonly<Record<string, HostArray | DeviceArray | undefined>>;
  readonly outcome: 'handled' | 'refused' | 'fenced';
  readonly stateBefore: string;
  readonly stateAfter: string;
  readonly mailboxSize: number;
}

/** One packet handed to a node. */
export interface PacketSeen {
  readonly type: 'packet';
  readonly atMs: number;
  readonly from: string;
  readonly fromLife: number;
  readonly to: string;
  /** The latest life of the sender's node. */
  readonly currentLife: number;
  readonly lane: string;
  readonly bytes: number;
  /** Bytes of this lane on the way and not released, this packet's among them; and what the window admits. */
  readonly onWayBytes: number;
  readonly windowBytes: number;
  /** Memory, as it is read, of frames that are not what they were when they left. */
  readonly changed?: readonly ArrayBufferLike[];
}

/** What the run reported. */
export interface StepSeen {
  readonly type: 'step';
  readonly atMs: number;
  readonly step: number;
  readonly loss: number;
  readonly gradNorm: number;
}

/** A checkpoint was reported as written; `damage` is what a loss of power at this moment would leave of it. */
export interface CheckpointSeen {
  readonly type: 'checkpoint';
  readonly atMs: number;
  readonly path: string;
  readonly damage: string | null;
}

export interface FaultSeen {
  readonly type: 'fault';
  readonly atMs: number;
  readonly fault: Fault;
  /** Addresses and nodes that it touches. */
  readonly touches: readonly string[];
}

export interface EndSeen {
  readonly type: 'end';
  readonly atMs: number;
  readonly exitCode: number;
  readonly message: string;
  /** The simulator gave it up: nothing was left to happen, or time ran out. */
  readonly isStuck: boolean;
}

export type Seen = TurnSeen | PacketSeen | StepSeen | CheckpointSeen | FaultSeen | EndSeen;

/** What must hold, whatever happens. A checker only looks. */
export interface Checker {
  readonly name: string;
  /** What it looks at; all else is not shown to it. Default: everything. */
  readonly looksAt?: readonly Seen['type'][];
  /** Of turns, the kinds of event that it looks at. Default: all. */
  readonly kinds?: readonly string[];
  /** @returns what is wrong, in a sentence; null when nothing is */
  readonly see: (seen: Seen) => string | null;
}

export interface Violation {
  readonly checker: string;
  readonly atMs: number;
  readonly text: string;
}

/** All checkers of a run; the first violation counts. */
export class Checkers {
  readonly #byType: Readonly<Record<Seen['type'], readonly Checker[]>>;
  /** Those that look at a turn, by the kind of its event. */
  readonly #byKind = new Map<string, readonly Checker[]>();
  #first: Violation | null = null;

  constructor(checkers: readonly Checker[]) {
    const of = (type: Seen['type']): readonly Checker[] =>
      checkers.filter(({ looksAt }) => looksAt?.includes(type) ?? true);
    this.#byType = {
      turn: of('turn'),
      packet: of('packet'),
      step: of('step'),
      checkpoint: of('checkpoint'),
      fault: of('fault'),
      end: of('end'),
    };
  }

  get violation(): Violation | null {
    return this.#first;
  }

  see(seen: Seen): void {
    if (this.#first !== null) return;
    for (const checker of seen.type === 'turn' ? this.#ofKind(seen.kind) : this.#byType[seen.type]) {
      const text = checker.see(seen);
      if (text === null) continue;
      this.#first = { checker: checker.name, atMs: seen.atMs, text };
      return;
    }
  }

  #ofKind(kind: string): readonly Checker[] {
    let found = this.#byKind.get(kind);
    if (found === undefined) {
      found = this.#byType.turn.filter(({ kinds }) => kinds?.includes(kind) ?? true);
      this.#byKind.set(kind, found);
    }
    return found;
  }
}
