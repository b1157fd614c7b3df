export * from './errors.ts';
export type { Exact } from './exact.ts';
export * from './journal.ts';
export { readJournal } from './journal-text.ts';
export type { DecidedStep, JournalRecord } from './record.ts';
