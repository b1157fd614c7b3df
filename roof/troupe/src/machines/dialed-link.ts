import type { Clock, TimerHandle } from '@troupe/core';
import type { AgentLink, AgentLinkHandlers } from './agent-link.ts';
import type { AgentLine, LeadLine } from './agent-protocol.ts';
import type { DialedConnection } from './dialed-connection.ts';

/** The link to one life of an agent that dials: what is sent before it comes waits for it. */
export class DialedLink implements AgentLink {
  readonly commandEnd = null;
  readonly #handlers: AgentLinkHandlers;
  readonly #clock: Clock;
  readonly #queue: LeadLine[] = [];
  #timer: TimerHandle | null;
  #connection: DialedConnection | null = null;
  #isExpected = false;
  #left: () => void = () => {};

  constructor(waitMs: number, clock: Clock, handlers: AgentLinkHandlers) {
    this.#handlers = handlers;
    this.#clock = clock;
    this.#timer = clock.after(waitMs, () => this.#ended(`no agent has dialled for ${waitMs / 1000} s`));
  }

  /** Nobody has come yet, and whoever comes is wanted. */
  get isWaiting(): boolean {
    return this.#connection === null && !this.#isExpected;
  }

  attach(connection: DialedConnection): void {
    this.#stopWaiting();
    this.#connection = connection;
    connection.listen(
      (line) => this.#heard(line),
      (reason) => this.#ended(`${connection.name}: ${reason}`),
    );
    for (const line of this.#queue.splice(0)) connection.send(line);
  }

  send(line: LeadLine): void {
    if (this.#connection === null) this.#queue.push(line);
    else this.#connection.send(line);
  }

  killNow(): void {
    this.#isExpected = true;
    this.#stopWaiting();
    this.#connection?.destroy();
  }

  async kill(): Promise<void> {
    this.killNow();
  }

  /** The connection stays: over it the agent hears how the run ended. */
  async end(graceMs: number): Promise<void> {
    this.#isExpected = true;
    this.#stopWaiting();
    if (this.#connection?.isOpen !== true) return;
    this.#connection.send({ type: 'leave' });
    await new Promise<void>((resolve) => {
      const timer = this.#clock.after(graceMs, resolve);
      this.#left = () => {
        this.#clock.cancel(timer);
        resolve();
      };
    });
  }

  #heard(line: AgentLine): void {
    this.#handlers.line(line);
    if (line.type === 'left') this.#left();
  }

  #ended(reason: string): void {
    this.#stopWaiting();
    this.#left();
    if (this.#isExpected) return;
    this.#isExpected = true;
    this.#handlers.ended(reason);
  }

  #stopWaiting(): void {
    if (this.#timer !== null) this.#clock.cancel(this.#timer);
    this.#timer = null;
  }
}
