import { measurePeak } from '@troupe/kernels';

/**
 * f32 peak of `threads` threads together, FLOP/s (register-only FMA, median of 7): the denominator of MFU.
 *
 * Blocks for about 0.3 s. null where the native addon is not built: then nothing is claimed about utilisation.
 *
 * @param threads - all threads that the run's devices on this machine use, ≥ 1
 */
export function measuredPeakFlops(threads: number): number | null {
  try {
    const flops = measurePeak(threads);
    return Number.isFinite(flops) && flops > 0 ? flops : null;
  } catch {
    return null;
  }
}
