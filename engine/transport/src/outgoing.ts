import { assert, type Lane } from '@troupe/core';
import type { Push } from 'zeromq';
import type { Place } from './hello.ts';
import { lanes } from './limits.ts';
import { refusalOf, type Refusal, type RefusalEvent } from './refusal.ts';
import { Writer } from './sockets.ts';

export interface OutgoingOptions {
  readonly place: Place;
  /** Names this attempt in everything it sends; unguessable, so that no other session can be taken for it. */
  readonly token: number;
  readonly open: (lane: Lane) => Push;
  /** What the lane's socket shall send next. */
  readonly next: (lane: Lane) => Uint8Array[] | undefined;
  /** Nobody listens at the place, so far. */
  readonly vacant: () => void;
  /** The peer hung up, or a send failed. Called at most once, never after `close`. */
  readonly gone: (reason: string, refusal: Refusal | null) => void;
}

/** One attempt to talk to a peer: a socket per lane, given up as a whole when either breaks. */
export class Outgoing {
  readonly token: number;
  readonly place: Place;
  readonly #sockets: Readonly<Record<Lane, Push>>;
  readonly #writers: Readonly<Record<Lane, Writer>>;
  readonly #options: OutgoingOptions;
  /** Lanes whose connection has passed the library's handshake. */
  readonly #shaken = new Set<Lane>();
  #refusal: Refusal | null = null;
  #closed = false;

  constructor(options: OutgoingOptions) {
    const { place, token, next } = options;
    assert(Number.isSafeInteger(token) && token >= 0, 'a token is a number that survives the wire', {
      token,
    });
    this.#options = options;
    this.token = token;
    this.place = place;
    this.#sockets = { control: this.#connect('control'), data: this.#connect('data') };
    const write = (lane: Lane): Writer =>
      new Writer(
        this.#sockets[lane],
        () => next(lane),
        (error) => this.#gone(`send failed: ${String(error)}`),
      );
    this.#writers = { control: write('control'), data: write('data') };
  }

  /** Something of this attempt may have arrived: the library sends nothing before its handshake. */
  get hasSpoken(): boolean {
    return this.#shaken.size > 0;
  }

  wake(lane?: Lane): void {
    if (lane !== undefined) this.#writers[lane].wake();
    else for (const each of lanes) this.#writers[each].wake();
  }

  close(): void {
    this.#closed = true;
    for (const lane of lanes) this.#sockets[lane].close();
  }

  #connect(lane: Lane): Push {
    const socket = this.#options.open(lane);
    const { events } = socket;
    const refused = (event: RefusalEvent): void => {
      this.#refusal ??= refusalOf(event);
    };
    events.on('handshake', () => this.#shaken.add(lane));
    events.on('handshake:error:auth', refused);
    events.on('handshake:error:protocol', refused);
    events.on('handshake:error:other', refused);
    events.on('connect:retry', () => {
      if (!this.#closed) this.#options.vacant();
    });
    events.on('disconnect', () => this.#gone(this.#refusal?.sentence ?? 'connection closed'));
    socket.connect(this.#options.place[lane]);
    return socket;
  }

  #gone(reason: string): void {
    if (this.#closed) return;
    this.close();
    this.#options.gone(reason, this.#refusal);
  }
}
