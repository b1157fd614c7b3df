import { callBack, type LogFields, type Logger, type TroupeError } from '@troupe/core';

/** A logger that reports what the one behind it throws, instead of throwing it at the code that logs. */
export function guardedLogger(logger: Logger, failed: (error: TroupeError) => void): Logger {
  const attempt = (run: () => unknown): void => callBack('the option logger', run, failed);
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, fields?: LogFields): void =>
      attempt(() => (fields === undefined ? logger[level](message) : logger[level](message, fields)));
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => {
      let child = logger;
      attempt(() => (child = logger.child(fields)));
      return guardedLogger(child, failed);
    },
  };
}
