import { TroupeError } from '@troupe/core';
import type { Completion, KernelCall, KernelOp, OnHost } from '@troupe/kernel-set';
import { KernelFailedError, KernelShapeError } from '../errors.ts';
import { ArgumentCheck } from '../reference/argument-check.ts';
import type { Kernel } from '../reference/kernel.ts';
import { kernels as reference } from '../reference/kernels.ts';
import { checkLayerCall, ExpertLayers, isLayerCall, runLayerCall } from './expert-layer.ts';
import { attentionBackward, attentionForward } from './attention.ts';
import { bf16Refused, usesBf16 } from './bf16-refused.ts';
import { expertsBackward, expertsBackwardInput, expertsBackwardWeight, expertsForward } from './experts.ts';
import { headLoss } from './head.ts';
import { headFinish, headPartial } from './head-parts.ts';
import { linearBackwardInput, linearBackwardWeight, linearForward } from './linear.ts';
import { adamw, sgd, sumAdd, sumSquares } from './optimizer.ts';
import type { Tensors } from './tensors.ts';

type OwnBodies = {
  readonly [O in KernelOp]?: (
    tensors: Tensors,
    call: OnHost<Extract<KernelCall, { readonly op: O }>>,
  ) => void;
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
  'experts.backward.input': expertsBackwardInput,
  'experts.backward.weight': expertsBackwardWeight,
  'head.loss': headLoss,
  'head.partial': headPartial,
  'head.finish': headFinish,
  'sum.add': (_, call) => sumAdd(call),
  'sum.squares': (_, call) => sumSquares(call),
  adamw: (_, call) => adamw(call),
  sgd: (_, call) => sgd(call),
};

function asTroupeError(error: unknown, op: string): TroupeError {
  if (error instanceof TroupeError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new KernelFailedError(`${op}: ${message}`, { cause: error });
}

/** Runs lists of calls synchronously on the thread that owns the tensors. */
export class KernelRunner {
  readonly #tensors: Tensors;
  readonly #layers: ExpertLayers;

  constructor(tensors: Tensors) {
    this.#tensors = tensors;
    this.#layers = new ExpertLayers(tensors);
  }

  /** What a list needs before it can run: the layers of users that it names and that are not loaded yet; null when nothing. */
  prepare(calls: readonly OnHost<KernelCall>[]): Promise<void> | null {
    const missing = calls.filter((call) => isLayerCall(call)).filter((call) => !this.#layers.isLoaded(call));
    return missing.length === 0 ? null : this.#layers.load(missing);
  }

  run(calls: readonly OnHost<KernelCall>[]): Completion {
    const start = performance.now();
    let error = check(calls);
    for (let i = 0; i < calls.length && error === null; i++) error = this.#runOne(calls[i]!);
    return { error, kernelMs: performance.now() - start };
  }

  #runOne(call: OnHost<KernelCall>): TroupeError | null {
    try {
      this.#dispatch(call);
      return null;
    } catch (thrown) {
      return asTroupeError(thrown, call.op);
    }
  }

  #dispatch(call: OnHost<KernelCall>): void {
    if (isLayerCall(call)) return runLayerCall(this.#tensors, this.#layers, call);
    const own = ownBodies[call.op] as ((tensors: Tensors, call: OnHost<KernelCall>) => void) | undefined;
    if (own === undefined) (reference[call.op] as Kernel<KernelCall>).run(call, 'f32');
    else own(this.#tensors, call);
  }
}

/** Shapes and types of a whole list, before any of it runs: the reference's checks. */
function check(calls: readonly OnHost<KernelCall>[]): TroupeError | null {
  for (const call of calls) {
    const op: unknown = call?.op;
    const isLayer = typeof op === 'string' && isLayerCall(call);
    if (typeof op !== 'string' || !(isLayer || Object.hasOwn(reference, op)))
      return new KernelShapeError(`${String(op)} is no operation of the kernel set`);
    try {
      if (usesBf16(call)) throw bf16Refused();
      const checked = new ArgumentCheck(op, 'f32');
      if (isLayerCall(call)) checkLayerCall(call, checked);
      else (reference[call.op] as Kernel<KernelCall>).check(call, checked);
    } catch (thrown) {
      return asTroupeError(thrown, op);
    }
  }
  return null;
}
