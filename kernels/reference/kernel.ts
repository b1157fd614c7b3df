import type { KernelCall, OnHost } from '@troupe/kernel-set';
import type { ArgumentCheck } from './argument-check.ts';
import type { FloatType } from './float-type.ts';

/**
 * One operation of the reference body: `check` looks at shapes and types only and runs for a whole list before
 * the first `run`; values that an earlier call of the list may still write are looked at in `run`.
 */
export interface Kernel<C extends KernelCall> {
  /** @throws {KernelShapeError} TROUPE_KERNEL_SHAPE */
  check(call: OnHost<C>, check: ArgumentCheck): void;
  /** @throws {KernelRangeError} TROUPE_KERNEL_RANGE */
  run(call: OnHost<C>, dtype: FloatType): void;
}
