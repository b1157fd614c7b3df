import { randomBytes } from 'node:crypto';
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { TroupeError } from '@troupe/core';
import { makeSocketFolder } from '../launch/socket-folder.ts';
import { ownIdentity } from '../ports/process-identity.ts';
import { removeControlFile, writeControlFile, type ControlPlace } from './control-file.ts';
import {
  readRequest,
  requestBytesMax,
  type ControlAnswer,
  type ControlRequest,
  type RelayoutRequest,
} from './request.ts';

/** Connections at a time: a screen each, and a few commands. */
export const clientsMax = 16;
/** Connections that say nothing for so long are closed. */
const IDLE_MS = 60_000;
/** So long a client may take to read an answer. */
const SLOW_MS = 5000;
/** Questions within so long get the same answer: asking often costs a run nothing. */
const FRESH_MS = 200;

export interface ControlServerOptions {
  /** Of the run. */
  readonly folder: string;
  /** What a look answers; JSON. */
  readonly status: () => unknown;
  readonly stop: (how: { readonly now: boolean }) => void;
  /** Answers when it is refused, or begun; JSON. @throws {TroupeError} why it is refused */
  readonly relayout: (request: RelayoutRequest) => Promise<unknown>;
  /** Of what else went wrong than a client. */
  readonly failed: (error: Error) => void;
  /** Default: the limits above. */
  readonly limits?: { readonly slowMs?: number; readonly idleMs?: number };
}

/**
 * Where a running run can be asked how it is, and asked to stop.
 *
 * A unix socket in a folder that only this user can enter; `control.json` in the run folder says where it is, and holds its tokens.
 *
 * CTL-1: no client disturbs a run: there are at most sixteen, a question has at most 256 KiB, one answer at a time waits for its reader, five
 * seconds, and answers are made five times a second at most.
 * CTL-2: nothing is done without a token of this run, and nothing changed with one that may only look.
 * CTL-3: `control.json` appears whole and readable by this user alone, and goes with the run; one that stayed names a process that is gone.
 */
export class ControlServer {
  readonly #options: ControlServerOptions;
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  readonly #place: ControlPlace;
  readonly #socketFolder: string;
  #fresh: { readonly untilMs: number; readonly text: string } | null = null;

  private constructor(options: ControlServerOptions, socketFolder: string) {
    this.#options = options;
    this.#socketFolder = socketFolder;
    this.#place = {
      format: 1,
      socket: join(socketFolder, 'control'),
      process: ownIdentity(),
      since: new Date().toISOString(),
      view: randomBytes(24).toString('base64url'),
      operate: randomBytes(24).toString('base64url'),
    };
    this.#server = createServer((socket) => this.#welcome(socket));
    this.#server.on('error', (error) => options.failed(error));
  }

  /** @throws {TroupeError} TROUPE_STORAGE_DENIED and its like, when there is no place for the socket or the file */
  static async open(options: ControlServerOptions): Promise<ControlServer> {
    const server = new ControlServer(options, await makeSocketFolder());
    process.once('exit', server.#leaveNothing);
    try {
      await server.#listen();
      writeControlFile(options.folder, server.#place);
    } catch (error) {
      server.close();
      throw error;
    }
    return server;
  }

  get place(): ControlPlace {
    return this.#place;
  }

  /** Ends all connections; who waits for an answer sees that. */
  close(): void {
    this.#server.close();
    for (const client of this.#clients) client.destroy();
    this.#leaveNothing();
    process.off('exit', this.#leaveNothing);
  }

  readonly #leaveNothing = (): void => {
    removeControlFile(this.#options.folder, this.#place);
    rmSync(this.#socketFolder, { recursive: true, force: true });
  };

  #listen(): Promise<void> {
    const { socket } = this.#place;
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(socket, () => {
        this.#server.off('error', reject);
        chmodSync(socket, 0o600);
        // It keeps no process alive that has nothing else to do.
        this.#server.unref();
        resolve();
      });
    });
  }

  #welcome(socket: Socket): void {
    // One that goes away is its own matter.
    socket.on('error', () => socket.destroy());
    if (this.#clients.size >= clientsMax) {
      const message = `${clientsMax} connections look at this run already; close one`;
      socket.end(lineOf({ ok: false, code: 'TROUPE_CONTROL_BUSY', message }));
      socket.setTimeout(this.#slowMs, () => socket.destroy());
      return;
    }
    this.#clients.add(socket);
    socket.unref();
    socket.on('close', () => this.#clients.delete(socket));
    socket.setTimeout(this.#options.limits?.idleMs ?? IDLE_MS, () => socket.destroy());
    this.#serve(socket);
  }

  #serve(socket: Socket): void {
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      text += chunk;
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        const line = text.slice(0, end);
        text = text.slice(end + 1);
        if (!this.#answer(socket, line)) return;
      }
      if (text.length > requestBytesMax) this.#refuse(socket, 'TROUPE_CONTROL_REQUEST', tooLong);
    });
  }

  /** False: this connection is over. */
  #answer(socket: Socket, line: string): boolean {
    if (line.length > requestBytesMax) {
      this.#refuse(socket, 'TROUPE_CONTROL_REQUEST', tooLong);
      return false;
    }
    try {
      const request = readRequest(line, this.#place);
      if (request.do === 'relayout') {
        void this.#layOut(socket, request);
        return true;
      }
      const answer = this.#carryOut(request);
      // One that asks on and does not read is over, before its answers fill the memory.
      if (socket.writableLength > 0) {
        socket.destroy();
        return false;
      }
      if (!socket.write(answer)) this.#awaitReader(socket);
      return true;
    } catch (error) {
      if (!(error instanceof TroupeError)) throw error;
      this.#refuse(socket, error.code, error.message);
      return false;
    }
  }

  /** It answers later; the socket may be gone by then. */
  async #layOut(socket: Socket, request: RelayoutRequest): Promise<void> {
    try {
      const relayout = await this.#options.relayout(request);
      if (!socket.write(lineOf({ ok: true, relayout }))) this.#awaitReader(socket);
    } catch (error) {
      const { code, message } =
        error instanceof TroupeError ? error : new TroupeError('TROUPE_UNKNOWN', String(error));
      this.#refuse(socket, code, message);
    }
  }

  #carryOut(request: Exclude<ControlRequest, RelayoutRequest>): string {
    if (request.do === 'stop') {
      this.#options.stop({ now: request.now });
      return lineOf({ ok: true });
    }
    const nowMs = performance.now();
    if (this.#fresh === null || this.#fresh.untilMs < nowMs)
      this.#fresh = {
        untilMs: nowMs + FRESH_MS,
        text: lineOf({ ok: true, status: this.#options.status() }),
      };
    return this.#fresh.text;
  }

  #awaitReader(socket: Socket): void {
    const timer = setTimeout(() => socket.destroy(), this.#slowMs);
    timer.unref();
    socket.once('drain', () => clearTimeout(timer));
    socket.once('close', () => clearTimeout(timer));
  }

  get #slowMs(): number {
    return this.#options.limits?.slowMs ?? SLOW_MS;
  }

  #refuse(socket: Socket, code: string, message: string): void {
    socket.removeAllListeners('data');
    socket.end(lineOf({ ok: false, code, message }));
    this.#awaitReader(socket);
  }
}

const tooLong = `a question has at most ${requestBytesMax} bytes`;
const lineOf = (answer: ControlAnswer): string => `${JSON.stringify(answer)}\n`;
