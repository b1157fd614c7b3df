import { CommanderError } from 'commander';
import { createProgram } from './program.ts';
import { fail } from './fail.ts';
import { Ended, UsageError } from './errors.ts';
import { leaveWithParent } from './fork-command.ts';
import { ignoreLostOutput } from './output.ts';

/** What commander throws after it has printed help or the version. */
const printed = new Set(['commander.helpDisplayed', 'commander.help', 'commander.version']);

/** Turns commander's own errors into ours; null when there is nothing to report. */
function known(error: unknown): unknown {
  if (!(error instanceof CommanderError)) return error;
  if (printed.has(error.code)) return null;
  return new UsageError(error.message.replace(/^error: /u, '').replaceAll('\n', ' '));
}

async function main(argv: readonly string[]): Promise<void> {
  ignoreLostOutput();
  leaveWithParent();
  const program = createProgram();
  try {
    if (argv.length === 0) program.outputHelp();
    else await program.parseAsync(argv, { from: 'user' });
  } catch (thrown) {
    const error = known(thrown);
    if (error === null) return;
    process.exitCode =
      error instanceof Ended
        ? error.exitCode
        : await fail(error, { json: argv.includes('--json'), verbose: argv.includes('--verbose') });
  }
}

await main(process.argv.slice(2));
