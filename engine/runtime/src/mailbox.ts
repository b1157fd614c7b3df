import { MailboxFullError } from './errors.ts';

/** A bounded first-in, first-out queue of one actor's events. */
export class Mailbox<T> {
  readonly #owner: string;
  readonly #capacity: number;
  #items: T[] = [];
  #head = 0;

  /** @param capacity - most events that may wait; more is a {@link MailboxFullError} */
  constructor(owner: string, capacity: number) {
    this.#owner = owner;
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    if (this.size >= this.#capacity) throw new MailboxFullError(this.#owner, this.#capacity);
    this.#items.push(item);
  }

  shift(): T | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#head++;
    if (this.#head > 64 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  clear(): void {
    this.#items = [];
    this.#head = 0;
  }
}
