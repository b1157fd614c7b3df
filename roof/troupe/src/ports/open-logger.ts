import { silentLogger, type Logger } from '@troupe/core';
import type { LogLevel } from './logger.ts';

/** What writes lines of a level; silence, which is what most runs want, does not wait for pino to load. */
export async function openLogger(level: LogLevel): Promise<Logger> {
  return level === 'silent' ? silentLogger : (await import('./logger.ts')).pinoLogger(level);
}
