import type { Completion, Device, KernelCall } from '@troupe/kernel-set';

/**
 * Submits a list and waits for it. Actors never do this (their completions come back as events); {@link LocalModel} does.
 *
 * @throws the completion's error: TROUPE_KERNEL_SHAPE, TROUPE_KERNEL_RANGE, TROUPE_KERNEL_FAILED
 */
export function runCalls(device: Device, calls: readonly KernelCall[]): Promise<Completion> {
  return new Promise((resolve, reject) => {
    device.submit(calls, (completion) => {
      if (completion.error === null) resolve(completion);
      else reject(completion.error);
    });
  });
}
