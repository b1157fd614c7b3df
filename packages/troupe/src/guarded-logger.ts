import type { LogFields, Logger } from '@troupe/core';

/** A logger that reports what the one behind it throws instead of throwing it into whoever logs. */
export function guardedLogger(logger: Logger, failed: (thrown: unknown) => void): Logger {
  const attempt = (run: () => void): void => {
    try {
      run();
    } catch (thrown) {
      failed(thrown);
    }
  };
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
