import { TroupeError } from '@troupe/core';
import { UsageError } from './errors.ts';
import { exitLine } from './exit-line.ts';
import { printError, printJson } from './output.ts';

/** Says why a command cannot do what it was asked, and gives its exit code. */
export async function fail(
  error: unknown,
  options: { readonly json: boolean; readonly verbose: boolean },
): Promise<number> {
  const isKnown = error instanceof TroupeError;
  const message = error instanceof Error ? error.message : String(error);
  const exitCode =
    error instanceof UsageError ? 2 : isKnown ? (await import('troupe/launch')).exitCodeOf(error) : 1;
  if (options.json) {
    printJson({ event: 'error', code: isKnown ? error.code : 'TROUPE_UNKNOWN', message });
    return exitCode;
  }
  printError(`troupe: ${message}`);
  if (options.verbose && error instanceof Error && error.stack !== undefined) printError(error.stack);
  else if (!isKnown || error.code === 'TROUPE_INVARIANT')
    printError('This is a bug in Troupe; --verbose shows where.');
  printError(exitLine(exitCode, isKnown ? error.code : 'unexpected error'));
  return exitCode;
}
