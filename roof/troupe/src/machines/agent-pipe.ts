import { spawn, type ChildProcess } from 'node:child_process';
import type { Clock } from '@troupe/core';
import { LastWords } from '../launch/last-words.ts';
import { WholeLines } from '../launch/whole-lines.ts';
import { agentLineMax, type AgentLink, type AgentLinkHandlers, type CommandEnd } from './agent-link.ts';
import type { AgentLine, LeadLine } from './agent-protocol.ts';
import type { LauncherCommand } from './launcher.ts';
import { LineError, lineOf, ProtocolLines } from './protocol-lines.ts';

/** What a process had printed may come after its exit. */
const LAST_WORDS_MS = 500;

/** What started an agent, with a pipe to it. */
export class AgentPipe implements AgentLink {
  readonly #child: ChildProcess;
  readonly #clock: Clock;
  readonly #handlers: AgentLinkHandlers;
  readonly #last = new LastWords();
  readonly #errors = new WholeLines((line) => this.#print(line));
  #expected = false;
  /** What broke the pipe, before the process ended. */
  #broken: string | null = null;

  constructor({ file, args, env }: LauncherCommand, clock: Clock, handlers: AgentLinkHandlers) {
    this.#clock = clock;
    this.#handlers = handlers;
    this.#child = spawn(file, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
      // A terminal's Ctrl-C is for the lead, which then lets agents finish.
      detached: true,
    });
    const lines = new ProtocolLines<AgentLine>(
      (line) => handlers.line(line),
      (text) => this.#print(text),
      agentLineMax,
    );
    this.#child.stdout?.on('data', (bytes: Buffer) => this.#read(lines, bytes));
    this.#child.stderr?.on('data', (bytes: Buffer) => this.#errors.push(bytes.toString('utf8')));
    // One that is gone says so by its end.
    this.#child.stdin?.on('error', () => {});
    this.#child.on('error', (error) => this.#ended(`${file} could not be started (${error.message})`));
    this.#child.on('exit', (code, signal) => {
      const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
      const end = (): void => this.#ended(this.#broken === null ? how : `${this.#broken}; ${how}`);
      const timer = clock.after(LAST_WORDS_MS, end);
      this.#child.once('close', () => {
        clock.cancel(timer);
        end();
      });
    });
  }

  send(line: LeadLine): void {
    if (this.#child.stdin?.writable === true) this.#child.stdin.write(lineOf(line));
  }

  /** Ends what is here of it, without waiting; what is there hears that its pipe has closed. */
  killNow(): void {
    this.#expected = true;
    this.#child.stdin?.destroy();
    if (!this.#isGone) this.#child.kill('SIGKILL');
  }

  /** How it has ended; null: it has not. */
  get commandEnd(): CommandEnd | null {
    return this.#isGone ? { code: this.#child.exitCode, signal: this.#child.signalCode } : null;
  }

  async kill(): Promise<void> {
    const gone = this.#gone();
    this.killNow();
    await gone;
  }

  /** Asks the agent to leave, and ends what is left of it after `graceMs`. */
  async end(graceMs: number): Promise<void> {
    this.#expected = true;
    const gone = this.#gone();
    this.send({ type: 'leave' });
    const timer = this.#clock.after(graceMs, () => this.killNow());
    await gone;
    this.#clock.cancel(timer);
  }

  get #isGone(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined;
  }

  async #gone(): Promise<void> {
    if (!this.#isGone) await new Promise<void>((resolve) => this.#child.once('exit', () => resolve()));
  }

  #read(lines: ProtocolLines<AgentLine>, bytes: Buffer): void {
    if (this.#broken !== null) return;
    try {
      lines.push(bytes);
    } catch (error) {
      if (!(error instanceof LineError)) throw error;
      this.#broken = `it sent ${error.message}`;
      this.#child.kill('SIGKILL');
    }
  }

  #print(line: string): void {
    this.#last.add(line);
    this.#handlers.printed(line);
  }

  #ended(how: string): void {
    if (this.#expected) return;
    this.#expected = true;
    this.#errors.flush();
    this.#handlers.ended(this.#last.after(how));
  }
}
