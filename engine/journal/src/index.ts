export * from './errors.ts';
export { isSameClaim, type Claim } from './epoch/claim.ts';
export { claimEpoch, newestEpoch } from './epoch/lead-claim.ts';
export { promise } from './epoch/promise.ts';
export type { Exact } from './exact.ts';
export { openJournal, type Journal } from './journal.ts';
export { readJournal } from './journal-text.ts';
export { compareRecords, type DecidedStep, type Decision, type JournalRecord } from './record.ts';
export { jsonOf, recordOf } from './record-json.ts';
