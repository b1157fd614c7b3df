import type { LogFields, Logger } from '@troupe/core';
import { check, oneOf } from '../option-rules.ts';
import { destination, pino, type Logger as PinoLogger } from 'pino';

const levels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof levels)[number];

function wrap(log: PinoLogger): Logger {
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, fields?: LogFields): void =>
      log[level](fields ?? {}, message);
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => wrap(log.child(fields)),
  };
}

/** Structured lines on standard error, so that standard output stays for what a command prints. */
export function pinoLogger(level: LogLevel): Logger {
  check('pinoLogger', 'level', level, oneOf(...levels));
  return wrap(pino({ level }, destination({ dest: 2, sync: true })));
}
