import { TroupeError } from '@troupe/core';

/** A command line that cannot be understood; exit 2. */
export class UsageError extends TroupeError {
  override readonly name = 'UsageError';
  constructor(message: string) {
    super('TROUPE_USAGE', message);
  }
}

/** Ends a command with this exit code; everything there is to say has been said. */
export class Ended extends Error {
  readonly exitCode: number;
  constructor(exitCode: number) {
    super(`exit ${exitCode}`);
    this.exitCode = exitCode;
  }
}
