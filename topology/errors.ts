import { TroupeError } from '@troupe/core';
import { limits } from './limits.ts';
import { formatProblem, type TopologyProblem } from './problem.ts';

/** A topology that cannot be run as written; carries every problem found, in the order of the file. */
export class TopologyError extends TroupeError {
  override readonly name = 'TopologyError';
  readonly problems: readonly TopologyProblem[];

  /** @param what - the file that they are of, for people: a sweep has topologies in it */
  constructor(problems: readonly TopologyProblem[], what = 'topology') {
    const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
    const shown = problems.slice(0, limits.problems).map(formatProblem);
    const more = problems.length - shown.length;
    const lines = [...shown, ...(more === 0 ? [] : [`… and ${more} more`])];
    super(
      'TROUPE_TOPOLOGY_INVALID',
      `the ${what} has ${count}:\n${lines.map((line) => `  ${line}`).join('\n')}`,
      {
        details: {
          problems: lines,
          codes: [...new Set(problems.map((problem) => problem.code))],
        },
      },
    );
    this.problems = problems;
  }

  /** Exit code of a command that ends with this error: 5 when only devices are lacking, else 3. */
  get exitCode(): 3 | 5 {
    return this.problems.every((problem) => problem.code === 'TROUPE_TOPOLOGY_DEVICES') ? 5 : 3;
  }
}

/** An address that no actor of the placement has. */
export class AddressUnknownError extends TroupeError {
  override readonly name = 'AddressUnknownError';
  constructor(address: string, nearest: string | null) {
    super(
      'TROUPE_ADDRESS_UNKNOWN',
      `no actor has the address ${address}${nearest === null ? '' : `; nearest: ${nearest}`}`,
      { details: { address, nearest } },
    );
  }
}
