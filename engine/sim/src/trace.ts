import { createHash } from 'node:crypto';
import type { NodeId, Packet } from '@troupe/core';
import type { TurnSeen } from './checkers/checker.ts';

/** What a trace records of one event. */
export interface TraceLine {
  readonly atMs: number;
  readonly node: NodeId;
  /** In words: actor, event, state before and after. */
  readonly text: string;
}

/** Numbers that are hashed in one piece. */
const PIECE = 4096;

/** First number of what is hashed: what follows it. A new name begins with one that no known name has. */
const [TURN, NOTE, PACKET, NAME] = [1, 2, 3, -1];
/** In place of a name: the one that stands before it. Most events are an actor's own, and most leave it where it was. */
const SAME = -2;

/**
 * A rolling hash of everything that happened in a simulation: virtual times, turns of actors, every byte of every packet.
 *
 * SIM-2: two runs with one seed have one hash, and any altered message, order or time has another. What is hashed are numbers; a name is
 * hashed letter by letter when it first appears, and is a number from then on. Words are only made for lines that are kept.
 */
export class Trace {
  readonly #hash = createHash('sha256');
  readonly #lines: TraceLine[] | null;
  #numLines = 0;
  readonly #piece = new Float64Array(PIECE);
  #length = 0;
  readonly #names = new Map<string, number>();

  /** @param keepsLines - also keep the lines, to look for the first divergence; memory grows with the run */
  constructor(keepsLines = false) {
    this.#lines = keepsLines ? [] : null;
  }

  turn(seen: TurnSeen): void {
    this.#numLines++;
    this.#lines?.push({ atMs: seen.atMs, node: seen.node as NodeId, text: textOf(seen) });
    this.#number(TURN);
    this.#number(seen.atMs);
    this.#number(seen.incarnation);
    this.#number(seen.step);
    this.#number(seen.attempt);
    this.#number(seen.version);
    this.#number(seen.layer);
    this.#number(seen.microbatch);
    this.#name(seen.node);
    this.#name(seen.address);
    this.#next(seen.address, seen.from);
    this.#name(seen.kind);
    this.#name(seen.outcome);
    this.#name(seen.stateBefore);
    this.#next(seen.stateBefore, seen.stateAfter);
  }

  /** Something that is no turn: a fault, a connection that came or went. */
  note(line: TraceLine): void {
    this.#numLines++;
    this.#lines?.push(line);
    this.#number(NOTE);
    this.#number(line.atMs);
    this.#name(line.node);
    this.#letters(line.text);
  }

  /** @param withBytes - false: only sizes count, for runs whose tensors hold nothing */
  packet(atMs: number, from: NodeId, to: NodeId, packet: Packet, withBytes = true): void {
    const { header, frames } = packet;
    this.#numLines++;
    this.#lines?.push({ atMs, node: to, text: `packet from ${from}, ${frames.length} frames` });
    this.#number(PACKET);
    this.#number(atMs);
    this.#name(from);
    this.#name(to);
    this.#number(header.byteLength);
    this.#number(frames.length);
    for (let index = 0; index < frames.length; index++) this.#number(frames[index]?.byteLength ?? 0);
    if (!withBytes) return;
    this.#flush();
    this.#hash.update(header);
    for (const frame of frames) this.#hash.update(frame);
  }

  get numLines(): number {
    return this.#numLines;
  }

  get lines(): readonly TraceLine[] {
    return this.#lines ?? [];
  }

  /** Hexadecimal hash of all so far; the trace can go on. */
  digest(): string {
    this.#flush();
    return this.#hash.copy().digest('hex');
  }

  #number(value: number): void {
    if (this.#length === PIECE) this.#flush();
    this.#piece[this.#length++] = value;
  }

  #next(before: string, name: string): void {
    if (name === before) this.#number(SAME);
    else this.#name(name);
  }

  #name(name: string): void {
    const known = this.#names.get(name);
    if (known !== undefined) {
      this.#number(known);
      return;
    }
    this.#names.set(name, this.#names.size);
    this.#number(NAME);
    this.#letters(name);
  }

  #letters(text: string): void {
    this.#number(text.length);
    this.#flush();
    this.#hash.update(text);
  }

  #flush(): void {
    if (this.#length > 0) this.#hash.update(this.#piece.subarray(0, this.#length));
    this.#length = 0;
  }
}

const textOf = (seen: TurnSeen): string =>
  `${seen.address}#${seen.incarnation} ${seen.kind} ${seen.step}/${seen.attempt} L${seen.layer} m${seen.microbatch} ${seen.outcome} ${seen.stateBefore} → ${seen.stateAfter}`;
