import { shownValue, TroupeError, UserCodeError, userCodeError } from '@troupe/core';
import type { Device } from '@troupe/kernel-set';
import { all, member, objectWith } from './option-rules.ts';

const rule = all(
  objectWith(
    'a device with info, floats, read, write, submit and close, such as loadDevice gives',
    'floats',
    'read',
    'write',
    'zero',
    'upload',
    'submit',
    'close',
  ),
  member('info', objectWith('what a device says of itself')),
);

/**
 * Opens a device of the embedding program.
 *
 * @throws {UserCodeError} TROUPE_USER_CODE when that throws, or gives no device
 * @throws {TroupeError} as it is, what a device of Troupe's says that the program opens
 */
export async function openOwnDevice<T extends Device>(
  open: (dp: number) => Promise<T>,
  dp: number,
): Promise<T> {
  const what = `the option openDevice (replica ${dp})`;
  let opened: T;
  try {
    opened = await open(dp);
  } catch (thrown) {
    throw thrown instanceof TroupeError ? thrown : userCodeError(what, thrown);
  }
  if (rule.problems(opened, 'device').length === 0) return opened;
  throw new UserCodeError(what, `returned ${shownValue(opened)}, expected ${rule.expected}`);
}
