import type { Precision } from '@troupe/core';
import { measureBandwidth, measurePeak } from '@troupe/kernels';

/**
 * Peak of `threads` threads together in the precision of the products, FLOP/s (registers only, the fastest of 7): the denominator of MFU.
 *
 * Blocks for about 50 ms. null where the native addon is not built: then nothing is claimed about utilisation.
 *
 * @param threads - all threads that the run's devices on this machine use, ≥ 1
 */
export const measuredPeakFlops = (threads: number, precision: Precision = 'f32'): number | null =>
  measured(() => measurePeak(threads, precision));

/**
 * Bandwidth of `threads` threads together, bytes per second read plus written (copies of 64 MiB, the fastest of 7). Blocks for about 0.3 s.
 * null where the native addon is not built.
 */
export const measuredBandwidth = (threads: number): number | null =>
  measured(() => measureBandwidth(threads));

function measured(measure: () => number): number | null {
  try {
    const rate = measure();
    return Number.isFinite(rate) && rate > 0 ? rate : null;
  } catch {
    return null;
  }
}
