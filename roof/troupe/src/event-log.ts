import { EventsDroppedError } from './errors.ts';

/** Events that are kept for readers who come later: about 15 MB of steps. */
export const MOST_EVENTS_KEPT = 65_536;

/**
 * What a run reported, for any number of readers: each reads it from the start, at its own pace.
 *
 * LOG-1: nobody loses an event in silence. The newest {@link MOST_EVENTS_KEPT} are kept; a reader who needs an older one, since it came late
 * or is that slow, gets an error that says how many are gone.
 */
export class EventLog<T> {
  readonly #capacity: number;
  /** Event i lies at i mod capacity. */
  readonly #kept: T[] = [];
  #count = 0;
  #ended = false;
  #more: Promise<void> | null = null;
  #wake: () => void = () => {};

  constructor(capacity = MOST_EVENTS_KEPT) {
    this.#capacity = capacity;
  }

  push(value: T): void {
    if (this.#ended) return;
    this.#kept[this.#count++ % this.#capacity] = value;
    this.#tell();
  }

  end(): void {
    this.#ended = true;
    this.#tell();
  }

  /** A stream of its own for every loop over it, from the first event to the last. */
  stream(): AsyncIterable<T> {
    return { [Symbol.asyncIterator]: () => this.#read() };
  }

  #tell(): void {
    this.#more = null;
    this.#wake();
  }

  async *#read(): AsyncGenerator<T, void, void> {
    for (let next = 0; ; next++) {
      while (next === this.#count) {
        if (this.#ended) return;
        this.#more ??= new Promise((resolve) => (this.#wake = resolve));
        await this.#more;
      }
      const first = this.#count - this.#capacity;
      if (next < first) throw new EventsDroppedError(next, first, this.#capacity);
      yield this.#kept[next % this.#capacity] as T;
    }
  }
}
