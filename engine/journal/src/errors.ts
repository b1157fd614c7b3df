import { TroupeError } from '@troupe/core';

/** A journal whose bytes are not those that were written; names the file and the line. What was cut off at its end is no damage. */
export class JournalDamagedError extends TroupeError {
  override readonly name = 'JournalDamagedError';
  constructor(file: string, line: number, problem: string) {
    super(
      'TROUPE_JOURNAL_DAMAGED',
      `journal '${file}' is damaged in line ${line}: ${problem}; a decision that is not known must not be guessed: put the file back, or move it away to go on from the last checkpoint`,
      { details: { file, line, problem } },
    );
  }
}

/** A process that leads a run no more: another has claimed a later epoch. It writes and sends nothing behind this. */
export class LeadReplacedError extends TroupeError {
  override readonly name = 'LeadReplacedError';
  constructor(epoch: number, newest: number) {
    super(
      'TROUPE_LEAD_REPLACED',
      `this process led the run in epoch ${epoch}, and another one leads it in epoch ${newest}; it ends, and the run goes on there`,
      { retryable: true, details: { epoch, newest } },
    );
  }
}
