import { TroupeError } from '@troupe/core';
import type { ProcessIdentity } from 'troupe/control';

/** A run that runs and cannot be asked from here. */
export class UnaskedError extends TroupeError {
  override readonly name = 'UnaskedError';
  constructor(folder: string, { pid, host }: ProcessIdentity, why: string) {
    super('TROUPE_CONTROL_UNREACHABLE', `process ${pid} on ${host} runs '${folder}', and ${why}`, {
      retryable: true,
    });
  }
}
