import { createHash } from 'node:crypto';
import type { NodeId, Packet } from '@troupe/core';

/** What a trace records of one event. */
export interface TraceLine {
  readonly atMs: number;
  readonly node: NodeId;
  /** In words: actor, event, state before and after. */
  readonly text: string;
}

/** Text is hashed in pieces of about this many characters. */
const PIECE = 1 << 16;

/**
 * A rolling hash of everything that happened in a simulation: virtual times, turns of actors, every byte of every packet.
 *
 * SIM-2: two runs with one seed have one hash, and any altered message, order or time has another.
 */
export class Trace {
  readonly #hash = createHash('sha256');
  readonly #lines: TraceLine[] | null;
  #numLines = 0;
  #text = '';

  /** @param keepsLines - also keep the lines, to look for the first divergence; memory grows with the run */
  constructor(keepsLines = false) {
    this.#lines = keepsLines ? [] : null;
  }

  turn(line: TraceLine): void {
    this.#numLines++;
    this.#lines?.push(line);
    this.#text += `${line.atMs} ${line.node} ${line.text}\n`;
    if (this.#text.length > PIECE) this.#flush();
  }

  /** @param withBytes - false: only sizes count, for runs whose tensors hold nothing */
  packet(atMs: number, from: NodeId, to: NodeId, packet: Packet, withBytes = true): void {
    this.#numLines++;
    this.#lines?.push({ atMs, node: to, text: `packet from ${from}, ${packet.frames.length} frames` });
    this.#text += `${atMs} ${from} ${to}\n`;
    if (!withBytes) {
      this.#text += `${packet.header.byteLength} ${packet.frames.map((frame) => frame.byteLength).join(' ')}\n`;
      return;
    }
    this.#flush();
    this.#hash.update(packet.header);
    for (const frame of packet.frames) this.#hash.update(frame);
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

  #flush(): void {
    if (this.#text === '') return;
    this.#hash.update(this.#text);
    this.#text = '';
  }
}
