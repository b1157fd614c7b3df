import { TroupeError } from '@troupe/core';

/** A command line that cannot be understood; exit 2. */
export class UsageError extends TroupeError {
  override readonly name = 'UsageError';
  constructor(message: string) {
    super('TROUPE_USAGE', message);
  }
}

/** Machines that cannot take part in a run; carries everything that is wrong with any of them. */
export class HostsError extends TroupeError {
  override readonly name = 'HostsError';
  constructor(problems: readonly string[]) {
    super('TROUPE_HOSTS', `the machines cannot run this:\n${problems.map((each) => `  ${each}`).join('\n')}`);
  }
}

/** Machines that do not answer, and may later; nothing else is wrong. */
export class HostsUnreachableError extends TroupeError {
  override readonly name = 'HostsUnreachableError';
  constructor(problems: readonly string[]) {
    super(
      'TROUPE_HOSTS_UNREACHABLE',
      `machines do not answer:\n${problems.map((each) => `  ${each}`).join('\n')}`,
      {
        retryable: true,
      },
    );
  }
}

/** kubectl is not there, or refuses what it is handed; carries what it says. */
export class KubectlError extends TroupeError {
  override readonly name = 'KubectlError';
  constructor(problem: string) {
    super('TROUPE_KUBECTL', problem);
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
