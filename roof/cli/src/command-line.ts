import { CommanderError } from 'commander';
import { Ended, UsageError } from './errors.ts';
import { fail } from './fail.ts';
import { createProgram } from './program.ts';

/** What commander throws after it has printed help or the version. */
const printed = new Set(['commander.helpDisplayed', 'commander.help', 'commander.version']);

/** Turns commander's own errors into ours; null when there is nothing to report. */
function known(error: unknown): unknown {
  if (!(error instanceof CommanderError)) return error;
  if (printed.has(error.code)) return null;
  return new UsageError(error.message.replace(/^error: /u, '').replaceAll('\n', ' '));
}

/** Does what a command line asks, without the program's name; gives its exit code. */
export async function carryOut(argv: readonly string[]): Promise<number> {
  const program = createProgram();
  try {
    if (argv.length === 0) program.outputHelp();
    else await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (thrown) {
    const error = known(thrown);
    if (error === null) return 0;
    if (error instanceof Ended) return error.exitCode;
    return fail(error, { json: argv.includes('--json'), verbose: argv.includes('--verbose') });
  }
}
