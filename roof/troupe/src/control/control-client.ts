import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { TroupeError } from '@troupe/core';
import type { ControlPlace } from './control-file.ts';
import { ControlError, type ControlAnswer, type ControlRequest, type RelayoutRequest } from './request.ts';
import type { RunStatus } from './run-status.ts';

/** A run answers between two turns; one that is stopped, or on a machine without memory, does not. */
const ANSWER_MS = 30_000;

/** A running run did not answer. */
class UnreachableError extends TroupeError {
  override readonly name = 'UnreachableError';
  constructor(message: string) {
    super('TROUPE_CONTROL_UNREACHABLE', message, { retryable: true });
  }
}

/** Asks a running run; one question at a time. */
export class ControlClient {
  readonly #place: ControlPlace;
  readonly #socket: Socket;
  readonly #answerMs: number;
  #waiting: {
    readonly resolve: (answer: ControlAnswer) => void;
    readonly reject: (error: Error) => void;
  } | null = null;
  /** What it said without having been asked: that it takes no more connections. */
  #refusal: Extract<ControlAnswer, { ok: false }> | null = null;
  #isOver = false;
  #end: () => void = () => {};
  /** The run closed the connection: it ended. */
  readonly ended = new Promise<void>((resolve) => (this.#end = resolve));

  private constructor(place: ControlPlace, answerMs: number) {
    this.#place = place;
    this.#answerMs = answerMs;
    this.#socket = connect(place.socket);
    this.#socket.on('error', (error) => this.#close(error.message));
    this.#socket.on('close', () => this.#close('it closed the connection'));
    createInterface(this.#socket)
      .on('line', (line) => this.#hear(line))
      // It passes on what the socket has said already.
      .on('error', () => {});
  }

  /** @throws {TroupeError} TROUPE_CONTROL_UNREACHABLE */
  static async open(place: ControlPlace, answerMs = ANSWER_MS): Promise<ControlClient> {
    const client = new ControlClient(place, answerMs);
    await new Promise<void>((resolve, reject) => {
      client.#socket.once('connect', resolve);
      client.#socket.once('error', (error) => reject(client.#unreachable(error.message)));
    });
    return client;
  }

  /** @throws {TroupeError} TROUPE_CONTROL_UNREACHABLE, or what the run answers instead */
  async status(): Promise<RunStatus> {
    const { status } = await this.#ask({ do: 'status' }, this.#place.view);
    return status as RunStatus;
  }

  /** Asks it to finish its step, write a checkpoint and end; with `now` to end at once. */
  async stop(now: boolean): Promise<void> {
    await this.#ask({ do: 'stop', now }, this.#place.operate);
  }

  /** Asks for another layout, or what it would change: the answer says that it has begun, or what came of it before. */
  async relayout(request: Omit<RelayoutRequest, 'do'>): Promise<unknown> {
    const { relayout } = await this.#ask({ do: 'relayout', ...request }, this.#place.operate);
    return relayout;
  }

  close(): void {
    this.#socket.destroy();
  }

  async #ask(request: ControlRequest, token: string): Promise<Extract<ControlAnswer, { ok: true }>> {
    if (this.#isOver) throw this.#unreachable('it closed the connection');
    let timer: NodeJS.Timeout | null = null;
    const answer = await new Promise<ControlAnswer>((resolve, reject) => {
      this.#waiting = { resolve, reject };
      timer = setTimeout(() => this.#close(`no answer within ${this.#answerMs / 1000} s`), this.#answerMs);
      this.#socket.write(`${JSON.stringify({ ...request, token })}\n`);
    }).finally(() => clearTimeout(timer ?? undefined));
    if (!answer.ok) throw refused(answer);
    return answer;
  }

  #hear(line: string): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    try {
      const answer = JSON.parse(line) as ControlAnswer;
      if (waiting !== null) waiting.resolve(answer);
      else if (!answer.ok) this.#refusal = answer;
    } catch {
      waiting?.reject(this.#unreachable('its answer is no JSON'));
    }
  }

  #close(reason: string): void {
    this.#isOver = true;
    this.#waiting?.reject(this.#unreachable(reason));
    this.#waiting = null;
    this.#socket.destroy();
    this.#end();
  }

  #unreachable(reason: string): TroupeError {
    if (this.#refusal !== null) return refused(this.#refusal);
    const { pid, host } = this.#place.process;
    return new UnreachableError(`process ${pid} on ${host} runs it and does not answer: ${reason}`);
  }
}

const refused = ({ code, message }: Extract<ControlAnswer, { ok: false }>): ControlError =>
  code === 'TROUPE_CONTROL_BUSY'
    ? new ControlError(code, message, { retryable: true })
    : new ControlError(code, message);
