export * from './errors.ts';
export type { Exact } from './exact.ts';
export { openJournal, type Journal } from './journal.ts';
export { readJournal } from './journal-text.ts';
export type { DecidedStep, Decision } from './record.ts';
