/** A timer that has been armed; pass it back to `cancel`. */
export type TimerHandle = number;

/**
 * The only source of time. Real code gets the monotonic clock, simulations the virtual one.
 */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary origin, fractional. */
  now(): number;
  /** Calls `callback` once, `delayMs` ≥ 0 from now, never synchronously. */
  after(delayMs: number, callback: () => void): TimerHandle;
  /** Disarms; a handle that already fired or was cancelled is ignored. */
  cancel(handle: TimerHandle): void;
}
