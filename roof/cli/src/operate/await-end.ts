import { setTimeout as after } from 'node:timers/promises';
import { TroupeError } from '@troupe/core';
import { isRunning, type ControlClient, type ProcessIdentity } from 'troupe/control';

/** Between two questions whether it still lives. */
const ASK_MS = 1000;
/** Its last lines, once it takes no more questions: held-out statistics, a profile. */
const LEAVE_MS = 60_000;
const LOOK_MS = 50;

/**
 * Waits until a run that was told to end has ended. A step may take long; who waits for it asks on, and a run that does not answer any
 * more is an error.
 *
 * @throws {TroupeError} TROUPE_CONTROL_UNREACHABLE
 */
export async function awaitEnd(client: ControlClient, process: ProcessIdentity): Promise<void> {
  let hasEnded = false;
  void client.ended.then(() => (hasEnded = true));
  for (;;) {
    await Promise.race([client.ended, after(ASK_MS)]);
    if (hasEnded) break;
    await client.status().catch((error: unknown) => {
      // It ended meanwhile, or does not answer: which of both the process says.
      if (isRunning(process) !== false && !hasEnded) throw error;
    });
  }
  const endMs = performance.now() + LEAVE_MS;
  while (isRunning(process) === true) {
    if (performance.now() > endMs)
      throw new TroupeError(
        'TROUPE_CONTROL_UNREACHABLE',
        `process ${process.pid} takes no more questions, and has not left within ${LEAVE_MS / 1000} s`,
        { retryable: true },
      );
    await after(LOOK_MS);
  }
}
