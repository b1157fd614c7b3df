import type { Readable, Writable } from 'node:stream';
import type { FromDialed } from './dial-lines.ts';
import { lineOf } from './protocol-lines.ts';

/** What an agent speaks with its lead over: the pipe of a launcher, or a connection that it has opened itself. */
export interface AgentWire {
  readonly input: Readable;
  readonly output: Writable;
  /** It was dialled: the lead says how the run ended, and hears why the agent does. */
  readonly isDialed: boolean;
}

/** Milliseconds for the last lines of an agent. */
const LAST_LINES_MS = 1000;

/** The pipe to what started this process. */
export const launcherWire = (): AgentWire => ({
  input: process.stdin,
  output: process.stdout,
  isDialed: false,
});

export const sayOver =
  ({ output }: AgentWire) =>
  (line: FromDialed): void => {
    if (output.writable) output.write(lineOf(line));
  };

/** Ends this process when what it has said has left it, or cannot. */
export function exitAfterLastLines({ output, isDialed }: AgentWire, exitCode: number): void {
  if (!isDialed) process.exit(exitCode);
  setTimeout(() => process.exit(exitCode), LAST_LINES_MS);
  output.end(() => process.exit(exitCode));
}
