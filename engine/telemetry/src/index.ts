export * from './profile/lines.ts';
export * from './profile/profile-tally.ts';
export * from './profile/record.ts';
export * from './profile/shares.ts';
export * from './profile/trace-event.ts';
export * from './profile/trace-writer.ts';
export * from './run-event.ts';
