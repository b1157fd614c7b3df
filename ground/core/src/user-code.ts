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

/** Whether a value can be waited for: code that has to answer at once returned a promise. */
export const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';

/** Tells of a rejection, also when nobody waits: one that is not heard ends the process. */
function onRejected(answer: unknown, rejected: (reason: unknown) => void): void {
  if (isThenable(answer)) void Promise.resolve(answer).catch(rejected);
}

/**
 * Runs code of the embedding program that has to answer at once.
 *
 * A promise is no answer, which is for the caller to say; what it is rejected with later is no news then.
 *
 * @param what - what it is, as a message names it: `the gate 'noisy'`
 * @throws {UserCodeError} TROUPE_USER_CODE with what it threw as its `cause`
 */
export function runUserCode<T>(what: string, run: () => T): T {
  try {
    const answer = run();
    onRejected(answer, () => {});
    return answer;
  } catch (thrown) {
    throw userCodeError(what, thrown);
  }
}

/** {@link callBack} with one argument, for what is called so often that nothing may be made for a call. */
export function calledBack<T>(
  what: string,
  call: (argument: T) => unknown,
  failed: (error: UserCodeError | InvariantError) => void,
): (argument: T) => void {
  const rejected = (reason: unknown): void => failed(userCodeError(what, reason));
  return (argument) => {
    try {
      onRejected(call(argument), rejected);
    } catch (thrown) {
      rejected(thrown);
    }
  };
}

/**
 * Calls back into the embedding program, and does not wait.
 *
 * @param what - what it is, as a message names it: `the option sink`
 * @param failed - gets what it threw, or what a promise that it returned was rejected with
 */
export function callBack(
  what: string,
  run: () => unknown,
  failed: (error: UserCodeError | InvariantError) => void,
): void {
  try {
    onRejected(run(), (reason) => failed(userCodeError(what, reason)));
  } catch (thrown) {
    failed(userCodeError(what, thrown));
  }
}
