export * from './actor.ts';
export * from './asks.ts';
export * from './directory.ts';
export * from './errors.ts';
export * from './mailbox.ts';
export * from './pure-machine.ts';
export * from './system.ts';
export * from './waits.ts';
