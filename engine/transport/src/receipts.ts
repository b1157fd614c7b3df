import { assert } from '@troupe/core';

/** Runs of released packets per credit message, at most. */
const runsMax = 2048;

/** What a receiver holds of one lane of one session, and the credit it has yet to give back. */
export class Receipts {
  #nextSeq = 0;
  #heldBytes = 0;
  #numHeld = 0;
  #runs: number[] = [];

  /** Number that the next packet must have. */
  get nextSeq(): number {
    return this.#nextSeq;
  }

  get hasCredit(): boolean {
    return this.#runs.length > 0;
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
    const runs = this.#runs;
    const last = runs.length - 2;
    if (last >= 0 && seq === runs[last]! + runs[last + 1]!) runs[last + 1]!++;
    else runs.push(seq, 1);
  }

  /** `[start, count, …]` of what was released since the last call. */
  takeCredit(): number[] {
    return this.#runs.splice(0, 2 * runsMax);
  }
}
