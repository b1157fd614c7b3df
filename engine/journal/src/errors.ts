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
