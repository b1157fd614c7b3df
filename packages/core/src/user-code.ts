import { InvariantError, UserCodeError } from './errors.ts';

/** The first line of what was thrown: a stack, or pages of a library's own, do not belong into a sentence. */
function reasonOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return (text.split('\n')[0] ?? '').trim() || 'an error without a message';
}

/** What user code threw, as the error of {@link UserCodeError}; one that is one already, or a bug in Troupe, stays as it is. */
export const userCodeError = (what: string, thrown: unknown): UserCodeError | InvariantError =>
  thrown instanceof UserCodeError || thrown instanceof InvariantError
    ? thrown
    : new UserCodeError(what, `threw: ${reasonOf(thrown)}`, thrown);

/**
 * Runs code of the embedding program.
 *
 * @param what - what it is, as a message names it: `the gate 'noisy'`
 * @throws {UserCodeError} TROUPE_USER_CODE with what it threw as its `cause`
 */
export function runUserCode<T>(what: string, run: () => T): T {
  try {
    return run();
  } catch (thrown) {
    throw userCodeError(what, thrown);
  }
}

/** Whether a value can be waited for: code that has to answer at once returned a promise. */
export const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
