import type { Clock } from '@troupe/core';

/** The machine's monotonic clock. Timers keep the process alive, since each is a deadline that somebody owns. */
export function systemClock(): Clock {
  const timers = new Map<number, NodeJS.Timeout>();
  let last = 0;
  return {
    now: () => performance.now(),
    after: (delayMs, callback) => {
      const handle = ++last;
      // setTimeout takes 31 bits; longer delays are cut, which no deadline here comes near.
      const timer = setTimeout(
        () => {
          timers.delete(handle);
          callback();
        },
        Math.min(Math.max(0, delayMs), 2 ** 31 - 1),
      );
      timers.set(handle, timer);
      return handle;
    },
    cancel: (handle) => {
      clearTimeout(timers.get(handle));
      timers.delete(handle);
    },
  };
}
