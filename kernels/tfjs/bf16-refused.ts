import { NotBuiltError } from '@troupe/core';
import type { KernelCall, OnHost } from '@troupe/kernel-set';

/** TensorFlow.js has no products of bf16 pairs (KER-6); f32 ones would give other numbers under the same name. */
export const bf16Refused = (): NotBuiltError =>
  new NotBuiltError(
    'precision bf16 on TensorFlow.js',
    'choose device native, or train.precision f32, which every body computes',
  );

/** Whether a call asks for bf16 or stores it. */
export function usesBf16(call: OnHost<KernelCall>): boolean {
  if ('precision' in call && call.precision === 'bf16') return true;
  return call.op === 'norm.forward' && call.out.data instanceof Uint16Array;
}
