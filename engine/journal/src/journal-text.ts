import { JournalDamagedError } from './errors.ts';
import { linesIn, readLine } from './line.ts';
import { compareRecords, type JournalRecord } from './record.ts';
import { recordOf } from './record-json.ts';

/** What a journal's file holds. */
export interface JournalText {
  /** In the order in which they were decided. */
  readonly records: readonly JournalRecord[];
  /** The bytes of these; what follows was cut off while it was written, and never lasted. */
  readonly intactBytes: number;
}

/** A file that grew by a line before its bytes were there ends in zeros. */
function withoutZeros(bytes: Uint8Array): Uint8Array {
  const last = bytes.findLastIndex((byte) => byte !== 0);
  return bytes.subarray(0, last + 1);
}

/**
 * Reads all records of a journal.
 *
 * JRN-2: a record counts when all of its line is there. The last line may be cut anywhere, in front of its line break too: then nobody was
 * told that it lasts, so nothing of it was sent. JRN-3: each was decided after the one before.
 *
 * @param file - as messages call it
 * @throws {JournalDamagedError} TROUPE_JOURNAL_DAMAGED with the first line that is neither
 */
export function readJournal(file: string, bytes: Uint8Array): JournalText {
  const records: JournalRecord[] = [];
  let intactBytes = 0;
  for (const line of linesIn(bytes)) {
    const fail = (problem: string): never => {
      throw new JournalDamagedError(file, records.length + 1, problem);
    };
    const read = readLine(line.isEnded ? line.bytes : withoutZeros(line.bytes));
    if (read.kind === 'damaged') fail(read.problem);
    if (!line.isEnded) break;
    if (read.kind !== 'text') return fail('it is shorter than it says');
    const record = recordOf(read.text);
    if (typeof record === 'string') return fail(record);
    const before = records.at(-1);
    if (before !== undefined && compareRecords(before, record) >= 0)
      fail(`${placeOf(record)} does not come after ${placeOf(before)}`);
    records.push(record);
    intactBytes = line.from + line.bytes.byteLength + 1;
  }
  return { records, intactBytes };
}

const placeOf = ({ epoch, attempt, step }: JournalRecord): string =>
  `step ${step} of attempt ${attempt} in epoch ${epoch}`;
