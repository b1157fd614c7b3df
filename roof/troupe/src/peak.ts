import type { Precision } from '@troupe/kernel-set';
import { measureBandwidth, measurePeak } from '@troupe/kernels';
import { cacheFolder } from './data.ts';
import { keepLargest, type RateName } from './kept-rates.ts';
import { check, oneOf, wholeNumber } from './option-rules.ts';

/**
 * Peak of `threads` threads together in the precision of the products, FLOP/s (registers only, the fastest of 7): the denominator of MFU.
 * The largest that was ever measured on this machine: others may be using it now.
 *
 * Blocks for about 50 ms. null where the native addon is not built: then nothing is claimed about utilisation.
 *
 * @param threads - all threads that the run's devices on this machine use, ≥ 1
 */
export function measuredPeakFlops(threads: number, precision: Precision = 'f32'): number | null {
  check('measuredPeakFlops', 'threads', threads, wholeNumber(1, 'threads'));
  check('measuredPeakFlops', 'precision', precision, oneOf('f32', 'bf16'));
  return measured({ of: precision, threads }, () => measurePeak(threads, precision));
}

/**
 * Bandwidth of `threads` threads together, bytes per second read plus written (copies of 64 MiB, the fastest of 7). Blocks for about 0.3 s.
 * The largest ever, as of peaks. null where the native addon is not built.
 */
export function measuredBandwidth(threads: number): number | null {
  check('measuredBandwidth', 'threads', threads, wholeNumber(1, 'threads'));
  return measured({ of: 'bandwidth', threads }, () => measureBandwidth(threads));
}

function measured(name: RateName, measure: () => number): number | null {
  try {
    const rate = measure();
    return Number.isFinite(rate) && rate > 0 ? keepLargest(name, rate, cacheFolder()) : null;
  } catch {
    return null;
  }
}
