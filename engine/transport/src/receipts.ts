import { assert } from '@troupe/core';

/** Runs of released packets per credit message, at most. */
const runsMax = 2048;
/** Credit is worth a message of its own from this part of the window on … */
const dueShare = 1 / 16;
/** … or from this many packets on. What is less waits a moment for more. */
const duePackets = 256;

/** What a receiver holds of one lane of one session, and the credit it has yet to give back. */
export class Receipts {
  #nextSeq = 0;
  #heldBytes = 0;
  #numHeld = 0;
  #runs: number[] = [];
  #owedBytes = 0;
  #numOwed = 0;

  /** Number that the next packet must have. */
  get nextSeq(): number {
    return this.#nextSeq;
  }

  get hasCredit(): boolean {
    return this.#runs.length > 0;
  }

  /** True when what was released is much of what the sender may have on the way: it should hear of it at once. */
  isDue(windowBytes: number): boolean {
    return this.#numOwed >= duePackets || this.#owedBytes >= windowBytes * dueShare;
  }

  /** Takes a packet in; false when the sender had no credit for it. */
  arrive(bytes: number, windowBytes: number): boolean {
    assert(bytes > 0, 'every packet costs credit, an empty one too');
    if (this.#numHeld > 0 && this.#heldBytes + bytes > windowBytes) return false;
    this.#nextSeq++;
    this.#numHeld++;
    this.#heldBytes += bytes;
    return true;
  }

  release(seq: number, bytes: number): void {
    assert(seq >= 0 && seq < this.#nextSeq, 'only a packet that has arrived is released');
    this.#numHeld--;
    this.#heldBytes -= bytes;
    assert(
      this.#numHeld > 0 ? this.#heldBytes > 0 : this.#numHeld === 0 && this.#heldBytes === 0,
      'a packet is released once, with the bytes that it arrived with',
    );
    this.#owedBytes += bytes;
    this.#numOwed++;
    const runs = this.#runs;
    const last = runs.length - 2;
    if (last >= 0 && seq === runs[last]! + runs[last + 1]!) runs[last + 1]!++;
    else runs.push(seq, 1);
  }

  /** `[start, count, …]` of what was released since the last call. */
  takeCredit(): number[] {
    this.#owedBytes = 0;
    this.#numOwed = 0;
    return this.#runs.splice(0, 2 * runsMax);
  }
}
