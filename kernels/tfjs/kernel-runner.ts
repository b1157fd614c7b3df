import { TroupeError, type Completion, type KernelCall, type KernelOp } from '@troupe/core';
import { KernelFailedError, KernelShapeError } from '../errors.ts';
import { ArgumentCheck } from '../reference/argument-check.ts';
import type { Kernel } from '../reference/kernel.ts';
import { kernels as reference } from '../reference/kernels.ts';
import { attentionBackward, attentionForward } from './attention.ts';
import { bf16Refused, usesBf16 } from './bf16-refused.ts';
import { expertsBackward, expertsForward } from './experts.ts';
import { headLoss } from './head.ts';
import { linearBackwardInput, linearBackwardWeight, linearForward } from './linear.ts';
import { adamw, sumAdd, sumSquares } from './optimizer.ts';
import type { Tensors } from './tensors.ts';

type OwnBodies = {
  readonly [O in KernelOp]?: (tensors: Tensors, call: Extract<KernelCall, { readonly op: O }>) => void;
};

/** Operations worth an own body; the others run the reference's loops, in float64 over float32 storage. */
const ownBodies: OwnBodies = {
  'linear.forward': linearForward,
  'linear.backward.input': linearBackwardInput,
  'linear.backward.weight': linearBackwardWeight,
  'attention.forward': attentionForward,
  'attention.backward': attentionBackward,
  'experts.forward': expertsForward,
  'experts.backward': expertsBackward,
  'head.loss': headLoss,
  'sum.add': (_, call) => sumAdd(call),
  'sum.squares': (_, call) => sumSquares(call),
  adamw: (_, call) => adamw(call),
};

function asTroupeError(error: unknown, op: string): TroupeError {
  if (error instanceof TroupeError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new KernelFailedError(`${op}: ${message}`, { cause: error });
}

/** Runs lists of calls synchronously on the thread that owns the tensors. */
export class KernelRunner {
  readonly #tensors: Tensors;

  constructor(tensors: Tensors) {
    this.#tensors = tensors;
  }

  run(calls: readonly KernelCall[]): Completion {
    const start = performance.now();
    let error = check(calls);
    for (let i = 0; i < calls.length && error === null; i++) error = this.#runOne(calls[i]!);
    return { error, kernelMs: performance.now() - start };
  }

  #runOne(call: KernelCall): TroupeError | null {
    const own = ownBodies[call.op] as ((tensors: Tensors, call: KernelCall) => void) | undefined;
    try {
      if (own === undefined) (reference[call.op] as Kernel<KernelCall>).run(call, 'f32');
      else own(this.#tensors, call);
      return null;
    } catch (thrown) {
      return asTroupeError(thrown, call.op);
    }
  }
}

/** Shapes and types of a whole list, before any of it runs: the reference's checks. */
function check(calls: readonly KernelCall[]): TroupeError | null {
  for (const call of calls) {
    const op: unknown = call?.op;
    if (typeof op !== 'string' || !Object.hasOwn(reference, op))
      return new KernelShapeError(`${String(op)} is no operation of the kernel set`);
    try {
      if (usesBf16(call)) throw bf16Refused();
      (reference[call.op] as Kernel<KernelCall>).check(call, new ArgumentCheck(op, 'f32'));
    } catch (thrown) {
      return asTroupeError(thrown, op);
    }
  }
  return null;
}
