import type { TLSSocket } from 'node:tls';
import type { Clock } from '@troupe/core';
import { agentLineMax } from './agent-link.ts';
import type { AgentLine } from './agent-protocol.ts';
import type { DialLine, FromDialed, ToDialed } from './dial-lines.ts';
import { LineError, lineOf, ProtocolLines } from './protocol-lines.ts';

/** What an agent gets to answer whether it is there, before another one takes its place. */
const ANSWER_MS = 5000;

/** One agent that has dialled, from its handshake to the end of its connection. */
export class DialedConnection {
  /** By its key. */
  readonly machine: number;
  /** Where it dialled from. */
  readonly from: string;
  readonly #socket: TLSSocket;
  readonly #clock: Clock;
  #dial: DialLine | null = null;
  #ending: string | null = null;
  #isClosed = false;
  #pong: (() => void) | null = null;
  #introduced: () => void = () => {};
  #line: (line: AgentLine) => void = () => {};
  #closed: (reason: string) => void = () => {};

  /** @param introduced - called when it has said who it is */
  constructor(socket: TLSSocket, machine: number, clock: Clock, introduced: () => void) {
    this.machine = machine;
    this.from = `${socket.remoteAddress}:${socket.remotePort}`;
    this.#socket = socket;
    this.#clock = clock;
    this.#introduced = introduced;
    // A peer whose machine has lost power closes nothing.
    socket.setKeepAlive(true, 10_000);
    const lines = new ProtocolLines<FromDialed>(
      (line) => this.#hear(line),
      (text) => this.#fail(`it sent '${text.slice(0, 40)}', which is no message`),
      agentLineMax,
    );
    socket.on('data', (bytes: Buffer) => {
      if (this.#isClosed) return;
      try {
        lines.push(bytes);
      } catch (error) {
        if (!(error instanceof LineError)) throw error;
        this.#fail(`it sent ${error.message}`);
      }
    });
    socket.on('error', (error) => this.#fail(`its connection broke (${error.message})`));
    socket.on('close', () => this.#fail('its connection closed'));
  }

  get isOpen(): boolean {
    return !this.#isClosed;
  }

  /** What it says of itself: `host-a (process 17, from 10.0.0.3:4711)`. */
  get name(): string {
    const who = this.#dial === null ? 'somebody' : this.#dial.hostname;
    return `${who} (${this.#dial === null ? '' : `process ${this.#dial.pid}, `}from ${this.from})`;
  }

  get dial(): DialLine | null {
    return this.#dial;
  }

  /** Hands what comes to who has waited for it. */
  listen(line: (line: AgentLine) => void, closed: (reason: string) => void): void {
    this.#line = line;
    this.#closed = closed;
  }

  send(line: ToDialed): void {
    if (!this.#isClosed) this.#socket.write(lineOf(line));
  }

  /** Sends the last line. */
  close(line: ToDialed): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.end(lineOf(line));
    this.#clock.after(ANSWER_MS, () => this.#socket.destroy());
  }

  destroy(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }

  /** Ends it as if it had broken by itself. */
  lose(reason: string): void {
    this.#fail(reason);
  }

  /** Whether an agent still answers there. */
  isThere(): Promise<boolean> {
    if (this.#isClosed) return Promise.resolve(false);
    return new Promise((resolve) => {
      const timer = this.#clock.after(ANSWER_MS, () => resolve(false));
      this.#pong = () => {
        this.#clock.cancel(timer);
        resolve(true);
      };
      this.send({ type: 'ping' });
    });
  }

  #hear(line: FromDialed): void {
    if (this.#isClosed) return;
    if (line.type === 'dial') {
      if (this.#dial !== null) return;
      this.#dial = line;
      this.#introduced();
    } else if (line.type === 'pong') this.#pong?.();
    else if (line.type === 'ending') this.#ending = line.reason;
    else this.#line(line);
  }

  #fail(reason: string): void {
    if (this.#isClosed) return;
    this.destroy();
    this.#closed(this.#ending ?? reason);
  }
}
