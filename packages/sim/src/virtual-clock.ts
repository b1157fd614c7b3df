import { assert, type Clock, type TimerHandle } from '@troupe/core';

interface Entry {
  readonly atMs: number;
  /** Ties are broken by order of arming, so that equal times have one order. */
  readonly sequence: number;
  readonly run: () => void;
}

const before = (a: Entry, b: Entry): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);

/** Cancelled entries that the heap may hold beyond as many as are armed. */
const MOST_DEAD = 4096;

/**
 * A discrete-event clock: time jumps from one armed event to the next.
 *
 * SIM-1: events run in order of (time, arming); an event armed by another for the same time runs after all armed before it.
 */
export class VirtualClock implements Clock {
  #nowMs = 0;
  #sequence = 0;
  #numEvents = 0;
  readonly #heap: Entry[] = [];
  /** Handles that are armed; a cancelled entry stays in the heap and is passed over. */
  readonly #armed = new Set<TimerHandle>();

  now(): number {
    return this.#nowMs;
  }

  /** Events that have run. */
  get numEvents(): number {
    return this.#numEvents;
  }

  /** Virtual time of the next event, ∞ when none is armed. */
  get nextMs(): number {
    for (let top = this.#heap[0]; top !== undefined; top = this.#heap[0]) {
      if (this.#armed.has(top.sequence)) return top.atMs;
      this.#pop();
    }
    return Number.POSITIVE_INFINITY;
  }

  get pending(): number {
    return this.#armed.size;
  }

  after(delayMs: number, callback: () => void): TimerHandle {
    assert(delayMs >= 0, 'a delay is not negative', { delayMs });
    const entry: Entry = { atMs: this.#nowMs + delayMs, sequence: ++this.#sequence, run: callback };
    this.#heap.push(entry);
    this.#rise(this.#heap.length - 1);
    this.#armed.add(entry.sequence);
    return entry.sequence;
  }

  cancel(handle: TimerHandle): void {
    if (this.#armed.delete(handle) && this.#heap.length > 2 * this.#armed.size + MOST_DEAD) this.#compact();
  }

  /** Runs the next event; false when none is armed. */
  runNext(): boolean {
    for (;;) {
      const entry = this.#pop();
      if (entry === undefined) return false;
      if (!this.#armed.delete(entry.sequence)) continue;
      this.#nowMs = entry.atMs;
      this.#numEvents++;
      entry.run();
      return true;
    }
  }

  /** Deadlines that were met lie far in the future: without this they would fill the heap. */
  #compact(): void {
    const kept = this.#heap.filter(({ sequence }) => this.#armed.has(sequence));
    kept.sort((a, b) => (before(a, b) ? -1 : 1));
    this.#heap.length = 0;
    // A sorted array is a heap.
    for (const entry of kept) this.#heap.push(entry);
  }

  #pop(): Entry | undefined {
    const top = this.#heap[0];
    const last = this.#heap.pop();
    if (top === undefined || last === undefined || this.#heap.length === 0) return top;
    this.#heap[0] = last;
    this.#sink(0);
    return top;
  }

  #at(index: number): Entry {
    const entry = this.#heap[index];
    assert(entry, 'the heap has no holes', { index });
    return entry;
  }

  #swap(i: number, j: number): void {
    const entry = this.#at(i);
    this.#heap[i] = this.#at(j);
    this.#heap[j] = entry;
  }

  #rise(start: number): void {
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!before(this.#at(index), this.#at(parent))) return;
      this.#swap(index, parent);
      index = parent;
    }
  }

  #sink(start: number): void {
    let index = start;
    for (;;) {
      const left = 2 * index + 1;
      if (left >= this.#heap.length) return;
      const right = left + 1;
      const child = right < this.#heap.length && before(this.#at(right), this.#at(left)) ? right : left;
      if (!before(this.#at(child), this.#at(index))) return;
      this.#swap(index, child);
      index = child;
    }
  }
}
