export * from './data.ts';
export * from './job.ts';
export * from './run-result.ts';
export * from './start-cluster.ts';
export { fileStorage } from './ports/file-storage.ts';
export { systemClock } from './ports/clock.ts';
export { pinoLogger, type LogLevel } from './ports/logger.ts';
export { loadTopology, type ResolvedTopology } from '@troupe/topology';
export * from './launch/launch.ts';
