import { hiddenInputs, type KernelCall } from '@troupe/core';

/** Speed of a modelled device. */
export interface DeviceSpeed {
  /** Floating-point operations a millisecond. Default 5e7 (50 GFLOP/s). */
  readonly flopsPerMs: number;
  /** Fixed time of one submitted list, milliseconds. Default 0.06. */
  readonly launchMs: number;
}

export const defaultSpeed: DeviceSpeed = { flopsPerMs: 5e7, launchMs: 0.06 };

/** Floating-point operations of a call's products; what is bound by memory counts as nothing. */
export function callFlops(call: KernelCall): number {
  switch (call.op) {
    case 'linear.forward':
    case 'linear.backward.input':
    case 'linear.backward.weight':
      return 2 * call.rows * call.inDim * call.outDim;
    case 'attention.forward':
      return 2 * call.batch * call.heads * call.seqLen ** 2 * call.headDim;
    case 'attention.backward':
      return 5 * call.batch * call.heads * call.seqLen ** 2 * call.headDim;
    case 'experts.forward':
    case 'experts.backward': {
      const rows = call.sources.reduce((sum, source) => sum + source.counts_EG.reduce((a, b) => a + b, 0), 0);
      const product = 2 * rows * call.dim * call.hidden * (hiddenInputs(call.activation) + 1);
      return call.op === 'experts.forward' ? product : 2 * product;
    }
    case 'head.loss':
      return 2 * call.tokens * call.dim * call.vocab * (call.dx_TD === undefined ? 1 : 3);
    default:
      return 0;
  }
}

/** Modelled time of a list, milliseconds. Never a measured one: the same list costs the same everywhere. */
export function listCostMs(calls: readonly KernelCall[], speed: DeviceSpeed): number {
  return speed.launchMs + calls.reduce((sum, call) => sum + callFlops(call), 0) / speed.flopsPerMs;
}
