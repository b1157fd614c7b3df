import { assert, type Lane } from '@troupe/core';
import type { Pull, Push } from 'zeromq';

/**
 * Writes to one socket, one send at a time: a second send while one waits is refused by the library.
 *
 * `next` is asked again after every send, so what waits is batched as late as possible.
 */
export class Writer {
  readonly #socket: Push;
  readonly #next: () => Uint8Array[] | undefined;
  readonly #failed: (error: unknown) => void;
  #awake = false;

  constructor(socket: Push, next: () => Uint8Array[] | undefined, failed: (error: unknown) => void) {
    this.#socket = socket;
    this.#next = next;
    this.#failed = failed;
  }

  /** Starts the loop at the end of the current turn, so that what one turn sends shares a batch. */
  wake(): void {
    if (this.#awake) return;
    this.#awake = true;
    queueMicrotask(() => void this.#run());
  }

  async #run(): Promise<void> {
    try {
      while (!this.#socket.closed) {
        const parts = this.#next();
        if (parts === undefined) break;
        assert(this.#awake && parts.length > 0, 'one loop writes to a socket, and what it writes has a part');
        await this.#socket.send(parts);
      }
    } catch (error) {
      if (!this.#socket.closed) this.#failed(error);
    }
    this.#awake = false;
  }
}

/** Reads one socket until it is closed. An error of `take` ends the loop and goes to `failed`. */
export async function readAll(
  socket: Pull,
  lane: Lane,
  take: (lane: Lane, parts: readonly Uint8Array[]) => void,
  failed: (error: unknown) => void,
): Promise<void> {
  try {
    while (!socket.closed) take(lane, await socket.receive());
  } catch (error) {
    if (!socket.closed) failed(error);
  }
}
