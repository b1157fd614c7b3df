import { assert, type Clock, type TimerHandle } from '@troupe/core';
import type { AgentLink, AgentLinkHandlers, CommandEnd } from './agent-link.ts';
import type { AgentBegin, AgentLine, LeadLine, Life, Listening } from './agent-protocol.ts';

/** Between two tries to reach a machine that is away. */
const RETRY_MS = 2000;

export interface RemoteMachineOptions {
  readonly host: string;
  /** Node of its agent, and those of its workers and hosts. */
  readonly agent: string;
  readonly nodes: readonly string[];
  readonly clock: Clock;
  readonly open: (handlers: AgentLinkHandlers) => AgentLink;
  /** Whether an agent that ends before the run begins is waited for: something else starts it anew. */
  readonly comesByItself: boolean;
  /** Whether an end of the command that has started an agent is the end of the agent. */
  readonly isAgentsEnd: (end: CommandEnd) => boolean;
  readonly begin: (incarnation: number, lives: readonly Life[]) => AgentBegin;
}

export interface RemoteMachineHandlers {
  /** Whatever else its agent says. */
  readonly line: (line: Exclude<AgentLine, Listening>) => void;
  /** A process of it listens. */
  readonly listens: (place: Listening & { readonly pid: number }) => void;
  /** All of them do, for the first time in this life of its agent. */
  readonly ready: () => void;
  /** Its agent, which was ready, has ended. */
  readonly lost: (incarnation: number, reason: string) => void;
  /** It could not be begun at the start. A later life is tried until the run ends. */
  readonly away: (reason: string) => void;
  readonly awaited: () => void;
  readonly came: () => void;
  readonly printed: (line: string) => void;
}

/**
 * A machine of a run, as the lead sees it: an agent there, started anew until it comes, and its workers.
 *
 * AGP-3: of one machine the lead hears one life at a time; what an ended one still says is not heard.
 */
export class RemoteMachine {
  readonly #options: RemoteMachineOptions;
  readonly #handlers: RemoteMachineHandlers;
  /** Life of each worker that was asked for last. */
  readonly #lives = new Map<string, number>();
  readonly #listening = new Set<string>();
  #incarnation = 0;
  #link: AgentLink | null = null;
  /** The present life has been told which it is. */
  #isBegun = false;
  #isReady = false;
  #isOver = false;
  /** The present life of its agent has said something. */
  #isHere = false;
  #hasEnded = true;
  #lastReason: string | null = null;
  #timer: TimerHandle | null = null;

  constructor(options: RemoteMachineOptions, handlers: RemoteMachineHandlers) {
    this.#options = options;
    this.#handlers = handlers;
  }

  /** Begins a life of its agent, once what is left here of the one before has ended. */
  start(incarnation: number): void {
    assert(incarnation > this.#incarnation, 'lives of an agent rise', { incarnation });
    this.#incarnation = incarnation;
    this.#handlers.awaited();
    void this.#replace();
  }

  /** Begins a life of a worker, with its agent where that is not there yet. */
  beginWorker(life: Life): void {
    this.#lives.set(life.node, life.incarnation);
    if (this.#isBegun) this.#link?.send({ type: 'worker.begin', ...life });
  }

  /** To an agent that is ready; one that is not is told all of it when it is. */
  tell(line: LeadLine): void {
    if (this.#isReady) this.#link?.send(line);
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** Of a machine that is away: every life of its agent that has said something since it was lost is known to have ended. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Why its last try to come has failed; null: nothing was heard. */
  get lastReason(): string | null {
    return this.#lastReason;
  }

  async end(graceMs: number): Promise<void> {
    this.#close();
    await this.#link?.end(graceMs);
  }

  killNow(): void {
    this.#close();
    this.#link?.killNow();
  }

  #close(): void {
    this.#isOver = true;
    if (this.#timer !== null) this.#options.clock.cancel(this.#timer);
  }

  async #replace(): Promise<void> {
    const incarnation = this.#incarnation;
    if (this.#timer !== null) this.#options.clock.cancel(this.#timer);
    this.#timer = null;
    this.#isBegun = false;
    this.#isReady = false;
    this.#listening.clear();
    await this.#link?.kill();
    this.#noteEnd();
    // Another one was asked for meanwhile.
    if (this.#isOver || incarnation !== this.#incarnation) return;
    this.#open(incarnation);
  }

  #noteEnd(): void {
    const end = this.#link?.commandEnd ?? null;
    if (this.#isHere && (end === null || !this.#options.isAgentsEnd(end))) this.#hasEnded = false;
    this.#isHere = false;
  }

  #open(incarnation: number): void {
    const { open, begin, nodes } = this.#options;
    const link: AgentLink = open({
      line: (line) => {
        // What was sent, and what processes print last, is told when all is over.
        if (link === this.#link && (!this.#isOver || line.type === 'left' || line.type === 'printed'))
          this.#heard(line);
      },
      ended: (reason) => {
        if (link === this.#link && !this.#isOver) this.#ended(reason);
      },
      printed: this.#handlers.printed,
    });
    this.#link = link;
    this.#isBegun = true;
    const lives = nodes.map((node) => ({ node, incarnation: this.#lives.get(node) ?? 1 }));
    link.send(begin(incarnation, lives));
  }

  #heard(line: AgentLine): void {
    if (line.type !== 'listening') {
      if (line.type === 'here') {
        this.#isHere = true;
        this.#handlers.came();
      }
      this.#handlers.line(line);
      return;
    }
    const { agent, nodes } = this.#options;
    const { node, incarnation } = line;
    const present = node === agent ? this.#incarnation : (this.#lives.get(node) ?? 1);
    if (incarnation !== present) return;
    this.#handlers.listens(line);
    this.#listening.add(node);
    if (this.#isReady || this.#listening.size <= nodes.length) return;
    this.#isReady = true;
    this.#hasEnded = true;
    this.#handlers.ready();
  }

  #ended(reason: string): void {
    const { clock, host, comesByItself } = this.#options;
    const incarnation = this.#incarnation;
    this.#isBegun = false;
    this.#lastReason = reason;
    if (this.#isReady) {
      this.#isReady = false;
      this.#handlers.lost(incarnation, reason);
      return;
    }
    if (incarnation === 1 && !comesByItself)
      this.#handlers.away(`the agent of ${host} ended before the run began (${reason})`);
    else this.#timer = clock.after(RETRY_MS, () => void this.#replace());
  }
}
