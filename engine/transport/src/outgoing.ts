import { assert, type Lane } from '@troupe/core';
import type { Push } from 'zeromq';
import type { Endpoints } from './hello.ts';
import { lanes } from './limits.ts';
import { Writer } from './sockets.ts';

export interface OutgoingOptions {
  readonly endpoints: Endpoints;
  /** Names this attempt in everything it sends; unguessable, so that no other session can be taken for it. */
  readonly token: number;
  readonly open: (lane: Lane) => Push;
  /** What the lane's socket shall send next. */
  readonly next: (lane: Lane) => Uint8Array[] | undefined;
  /** The peer hung up, or a send failed. Called at most once, never after `close`. */
  readonly gone: (reason: string) => void;
}

/** One attempt to talk to a peer: a socket per lane, given up as a whole when either breaks. */
export class Outgoing {
  readonly token: number;
  readonly endpoints: Endpoints;
  readonly #sockets: Readonly<Record<Lane, Push>>;
  readonly #writers: Readonly<Record<Lane, Writer>>;
  #closed = false;

  constructor(options: OutgoingOptions) {
    const { endpoints, token, open, next } = options;
    assert(Number.isSafeInteger(token) && token >= 0, 'a token is a number that survives the wire', {
      token,
    });
    this.token = token;
    this.endpoints = endpoints;
    const gone = (reason: string): void => {
      if (this.#closed) return;
      this.close();
      options.gone(reason);
    };
    const start = (lane: Lane): { readonly socket: Push; readonly writer: Writer } => {
      const socket = open(lane);
      socket.events.on('disconnect', () => gone('connection closed'));
      socket.connect(endpoints[lane]);
      return {
        socket,
        writer: new Writer(
          socket,
          () => next(lane),
          (error) => gone(`send failed: ${String(error)}`),
        ),
      };
    };
    const control = start('control');
    const data = start('data');
    this.#sockets = { control: control.socket, data: data.socket };
    this.#writers = { control: control.writer, data: data.writer };
  }

  wake(lane?: Lane): void {
    if (lane !== undefined) this.#writers[lane].wake();
    else for (const each of lanes) this.#writers[each].wake();
  }

  close(): void {
    this.#closed = true;
    for (const lane of lanes) this.#sockets[lane].close();
  }
}
