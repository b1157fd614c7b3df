import { spawn, type ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** Runs `troupe …` and gives its last line, which `--json` makes an object. @throws {CommandError} */
export type RunTroupe = (args: readonly string[]) => Promise<Readonly<Record<string, unknown>>>;

/** A command that did not end well. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  /** Of the command; 128 + the signal that ended it. */
  readonly exitCode: number;

  constructor(args: readonly string[], exitCode: number, said: string) {
    super(`troupe ${args.join(' ')}: ${said} (exit ${exitCode})`);
    this.exitCode = exitCode;
  }
}

/** Exit code of what may pass: such as a run that the process of a killed experiment still writes. */
const TEMPORARY = 75;
const TRIES = 20;
const WAIT_MS = 3000;

/** The command of this repository, in a process that leaves with this one. */
export class TroupeCommand {
  #child: ChildProcess | null = null;
  #stopped = 0;
  readonly #report: (line: string) => void;

  /** @param report - gets the lines that a command prints, as JSON */
  constructor(report: (line: string) => void) {
    this.#report = report;
  }

  /** Asks for a checkpoint and an end. */
  stop(signal: NodeJS.Signals): void {
    this.#stopped = 128 + constants.signals[signal];
    this.#child?.kill('SIGTERM');
  }

  readonly run: RunTroupe = async (args) => {
    for (let tries = 1; ; tries++)
      try {
        return await this.#once(args);
      } catch (error) {
        const mayPass = error instanceof CommandError && error.exitCode === TEMPORARY;
        if (!mayPass || tries === TRIES || this.#stopped > 0) throw error;
        await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
      }
  };

  async #once(args: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
    if (this.#stopped > 0) throw new CommandError(args, this.#stopped, 'not begun, since a signal came');
    const bin = fileURLToPath(new URL('../../../roof/troupe/bin/troupe.js', import.meta.url));
    // The fourth channel tells the command when this process is gone.
    const child = spawn(process.execPath, [bin, ...args, '--json'], {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    this.#child = child;
    const exited = new Promise<number>((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGTERM']));
    });
    let last: Readonly<Record<string, unknown>> = {};
    if (child.stdout !== null)
      for await (const line of createInterface({ input: child.stdout })) {
        this.#report(line);
        last = JSON.parse(line) as typeof last;
      }
    const exitCode = await exited;
    this.#child = null;
    if (exitCode === 0 && this.#stopped === 0) return last;
    const said = typeof last['message'] === 'string' ? last['message'] : 'ended';
    throw new CommandError(args, this.#stopped || exitCode, said);
  }
}
