import { spawnSync } from 'node:child_process';

/** Hexadecimal digits of a commit that make its seed: below 2^28, so that seeds next to it are whole numbers too. */
const DIGITS = 7;

/** The seed of this commit, so that every commit draws other runs and one commit the same; 1 outside of a checkout. */
export function commitSeed(): number {
  const { status, stdout } = spawnSync('git', ['rev-parse', 'HEAD'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const seed = status === 0 ? Number.parseInt(stdout.slice(0, DIGITS), 16) : Number.NaN;
  return Number.isInteger(seed) ? seed : 1;
}
