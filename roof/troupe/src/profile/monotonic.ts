/**
 * Milliseconds of the machine's monotonic clock (CLOCK_MONOTONIC on Linux): the same axis in every process of one machine, and the one on
 * which devices time their calls. Clocks of several machines have nothing in common.
 *
 * Not `performance.now()` and an offset: a process that is preempted between the two readings that give the offset would be milliseconds
 * off.
 */
export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;
