export * from './addresses.ts';
export * from './cluster.ts';
export * from './job.ts';
export * from './messages.ts';
export { parametersOf, type ExpertRule } from './expert/index.ts';
export type { TokenBatch, TokenSource } from './feeder/index.ts';
export type { GateQuestion, GateRule } from './gate/index.ts';
export type { RunOutcome } from './trainer/index.ts';
export type { RunFailure } from './supervisor/index.ts';
