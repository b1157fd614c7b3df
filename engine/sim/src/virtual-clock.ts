import { assert, type Clock, type TimerHandle } from '@troupe/core';

/** Most events that may be armed at once: a handle holds a slot and how often that has been used. */
const MOST_SLOTS = 2 ** 24;

/** Where a slot lies that is not in the heap: free, or due now. */
const NOWHERE = -1;

/**
 * A discrete-event clock: time jumps from one armed event to the next.
 *
 * SIM-1: events run in order of (time, arming); an event armed by another for the same time runs after all armed before it.
 *
 * Events lie in numbered slots, so that arming allocates nothing and a cancelled one leaves the heap at once: most deadlines are met, and
 * lie far in the future. What is armed for the present time, about half, queues beside the heap.
 */
export class VirtualClock implements Clock {
  #nowMs = 0;
  #sequence = 0;
  #numEvents = 0;
  #numDue = 0;
  /** By slot: what to run (null: free or cancelled), when, its place in the order of arming, how often it was used, its place in the heap. */
  readonly #runs: ((() => void) | null)[] = [];
  readonly #times: number[] = [];
  readonly #sequences: number[] = [];
  readonly #uses: number[] = [];
  readonly #places: number[] = [];
  readonly #free: number[] = [];
  /** Slots, the next event first. */
  readonly #heap: number[] = [];
  /** Slots that are due now, in order of arming, from `#head` on. */
  #due: number[] = [];
  #head = 0;

  now(): number {
    return this.#nowMs;
  }

  /** Events that have run. */
  get numEvents(): number {
    return this.#numEvents;
  }

  /** Virtual time of the next event, ∞ when none is armed. */
  get nextMs(): number {
    if (this.#numDue > 0) return this.#nowMs;
    const top = this.#heap[0];
    return top === undefined ? Number.POSITIVE_INFINITY : this.#time(top);
  }

  get pending(): number {
    return this.#heap.length + this.#numDue;
  }

  after(delayMs: number, callback: () => void): TimerHandle {
    assert(delayMs >= 0, 'a delay is not negative');
    const slot = this.#free.pop() ?? this.#grow();
    const atMs = this.#nowMs + delayMs;
    this.#runs[slot] = callback;
    this.#times[slot] = atMs;
    this.#sequences[slot] = ++this.#sequence;
    if (atMs === this.#nowMs) {
      this.#due.push(slot);
      this.#numDue++;
    } else {
      this.#heap.push(slot);
      this.#rise(this.#heap.length - 1, slot);
    }
    return (this.#uses[slot] ?? 0) * MOST_SLOTS + slot;
  }

  cancel(handle: TimerHandle): void {
    const slot = handle % MOST_SLOTS;
    if (this.#uses[slot] !== Math.floor(handle / MOST_SLOTS) || this.#runs[slot] === null) return;
    const place = this.#places[slot] ?? NOWHERE;
    if (place === NOWHERE) {
      // It stays in the queue, and is passed over.
      this.#runs[slot] = null;
      this.#numDue--;
      return;
    }
    this.#remove(place);
    this.#release(slot);
  }

  /** Runs the next event; false when none is armed. */
  runNext(): boolean {
    const slot = this.#take();
    if (slot === NOWHERE) return false;
    const run = this.#runs[slot] as () => void;
    this.#nowMs = this.#time(slot);
    this.#release(slot);
    this.#numEvents++;
    run();
    return true;
  }

  /** Takes the next event out of heap or queue. */
  #take(): number {
    const top = this.#heap[0] ?? NOWHERE;
    if (this.#numDue > 0) {
      const due = this.#firstDue();
      if (top === NOWHERE || !this.#isBefore(top, due)) {
        this.#head++;
        this.#numDue--;
        return due;
      }
    }
    if (top !== NOWHERE) this.#remove(0);
    return top;
  }

  /** The first in the queue that was not cancelled; there is one. */
  #firstDue(): number {
    if (this.#head > 1024 && 2 * this.#head > this.#due.length) {
      this.#due = this.#due.slice(this.#head);
      this.#head = 0;
    }
    for (;;) {
      const slot = this.#due[this.#head] as number;
      if (this.#runs[slot] !== null) return slot;
      this.#head++;
      this.#release(slot);
    }
  }

  #grow(): number {
    const slot = this.#runs.length;
    assert(slot < MOST_SLOTS, 'so many events are never armed at once');
    this.#runs.push(null);
    this.#times.push(0);
    this.#sequences.push(0);
    this.#uses.push(1);
    this.#places.push(NOWHERE);
    return slot;
  }

  #release(slot: number): void {
    this.#runs[slot] = null;
    // A handle stays a safe integer.
    this.#uses[slot] = ((this.#uses[slot] ?? 0) + 1) % 2 ** 28;
    this.#free.push(slot);
  }

  #time(slot: number): number {
    return this.#times[slot] as number;
  }

  #order(slot: number): number {
    return this.#sequences[slot] as number;
  }

  #isBefore(a: number, b: number): boolean {
    const first = this.#time(a);
    const second = this.#time(b);
    return first < second || (first === second && this.#order(a) < this.#order(b));
  }

  /** Takes out of the heap what lies at `place`. */
  #remove(place: number): void {
    const slot = this.#heap[place] as number;
    const last = this.#heap.pop() as number;
    this.#places[slot] = NOWHERE;
    if (slot === last) return;
    if (this.#isBefore(last, slot)) this.#rise(place, last);
    else this.#sink(place, last);
  }

  #rise(start: number, slot: number): void {
    let place = start;
    while (place > 0) {
      const above = this.#heap[(place - 1) >> 1] as number;
      if (!this.#isBefore(slot, above)) break;
      this.#put(place, above);
      place = (place - 1) >> 1;
    }
    this.#put(place, slot);
  }

  #sink(start: number, slot: number): void {
    const { length } = this.#heap;
    let place = start;
    for (let child = 2 * place + 1; child < length; child = 2 * place + 1) {
      let below = this.#heap[child] as number;
      if (child + 1 < length && this.#isBefore(this.#heap[child + 1] as number, below))
        below = this.#heap[++child] as number;
      if (!this.#isBefore(below, slot)) break;
      this.#put(place, below);
      place = child;
    }
    this.#put(place, slot);
  }

  #put(place: number, slot: number): void {
    this.#heap[place] = slot;
    this.#places[slot] = place;
  }
}
