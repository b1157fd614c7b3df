import type { Clock } from '@troupe/core';
import type { EventOfType } from 'zeromq';

/** Why the library's handshake with whoever listens at a place failed. */
export interface Refusal {
  readonly sentence: string;
  /** It had the key that was expected before it refused: it is the peer, at whatever other places one might try. */
  readonly isPeer: boolean;
}

export type RefusalEvent = EventOfType<
  'handshake:error:auth' | 'handshake:error:protocol' | 'handshake:error:other'
>;

/** What a failed handshake says; only a key that is not let in is told. */
export function refusalOf(event: RefusalEvent): Refusal {
  if (event.type === 'handshake:error:auth')
    return {
      sentence: 'it does not admit the key of this node: a wrong key, or one of another run',
      isPeer: true,
    };
  return { sentence: 'it broke off the handshake', isPeer: false };
}

/** What it means that somebody broke off a handshake, once it is known how that one is secured. */
export function brokenOff(mechanism: string | null, secured: boolean): string {
  if (mechanism === null) return 'it broke off the handshake and says nothing more';
  if (mechanism !== 'CURVE') return 'there is no CURVE on the other side';
  return secured
    ? 'it has another key than the one expected'
    : 'it asks for CURVE, and this node has no keys';
}

/**
 * Tells a refusal from bad luck: whoever is refused again and again for a while is refused.
 *
 * A peer whose thread is busy lets connections in late, so that some end in the middle of the handshake; those are seconds apart.
 */
export class RefusalWatch {
  readonly #clock: Clock;
  readonly #afterMs: number;
  #since: number | null = null;
  #count = 0;

  constructor(clock: Clock, afterMs: number) {
    this.#clock = clock;
    this.#afterMs = afterMs;
  }

  clear(): void {
    this.#since = null;
    this.#count = 0;
  }

  /** One more; @returns whether that is enough */
  refused(): boolean {
    this.#since ??= this.#clock.now();
    this.#count++;
    return this.#count >= refusalsMin && this.#clock.now() - this.#since >= this.#afterMs;
  }
}

/** A tenth of a second apart where somebody refuses at once. */
const refusalsMin = 10;
