import { MailboxFullError } from './errors.ts';

/**
 * A bounded first-in, first-out queue of one actor's events.
 *
 * What was taken out is not held: an event holds the frames that it came with.
 */
export class Mailbox<T> {
  readonly #owner: string;
  readonly #capacity: number;
  /** Those that wait lie from `#head` to `#end`; all other places are empty. */
  #items: (T | undefined)[] = [];
  #head = 0;
  #end = 0;

  /** @param capacity - most events that may wait; more is a {@link MailboxFullError} */
  constructor(owner: string, capacity: number) {
    this.#owner = owner;
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#end - this.#head;
  }

  push(item: T): void {
    if (this.size >= this.#capacity) throw new MailboxFullError(this.#owner, this.#capacity);
    this.#items[this.#end++] = item;
  }

  shift(): T | undefined {
    if (this.#head === this.#end) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#end) this.#head = this.#end = 0;
    else if (this.#head > 64 && this.#head * 2 > this.#end) {
      this.#items = this.#items.slice(this.#head, this.#end);
      this.#end -= this.#head;
      this.#head = 0;
    }
    return item;
  }
}
