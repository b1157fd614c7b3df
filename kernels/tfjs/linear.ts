import type {
  LinearBackwardInputCall,
  LinearBackwardWeightCall,
  LinearForwardCall,
  OnHost,
} from '@troupe/kernel-set';
import {
  addBlock,
  addTransposed,
  asFloats,
  blockOf,
  copyBlock,
  transposeBlock,
  type Block,
} from './copies.ts';
import { intoLeaves } from './leaves.ts';
import type { Tensors } from './tensors.ts';

const dense = (data: Float32Array, columns: number): Block => ({ data, at: 0, stride: columns });

/** out = start, or 0: what is left of a product over no terms. */
function startOnly(start: Block | undefined, out: Block, rows: number, columns: number): void {
  if (start === undefined) {
    for (let r = 0; r < rows; r++)
      out.data.fill(0, out.at + r * out.stride, out.at + r * out.stride + columns);
  } else if (start.data !== out.data || start.at !== out.at) {
    copyBlock(start, out, rows, columns);
  }
}

/**
 * out[M,N] = start + x·Wᵀ. With fewer rows than outputs it is computed as (W·xᵀ)ᵀ: packing a right operand costs
 * 4 to 9 ns an element, so the smaller one goes there, and the weight is then used as it lies.
 */
export function linearForward(tensors: Tensors, call: OnHost<LinearForwardCall>): void {
  const { rows, inDim, outDim } = call;
  const weight = asFloats(call.weight);
  if (rows === 0 || outDim === 0) return;
  const x = blockOf(call.x, inDim);
  const out = blockOf(call.out, outDim);
  const start = call.accumulate === true ? out : call.residual && blockOf(call.residual, outDim);
  if (inDim === 0) return startOnly(start, out, rows, outDim);
  tensors.scope(() => {
    if (rows < outDim) {
      const left = tensors.matrix(outDim, inDim, (to) => to.set(weight.subarray(0, outDim * inDim)));
      const right = tensors.matrix(inDim, rows, (to) => transposeBlock(x, dense(to, rows), rows, inDim));
      const product = dense(tensors.elements(tensors.multiply(left, right)), rows);
      if (start === undefined) transposeBlock(product, out, outDim, rows);
      else addTransposed(start, product, out, rows, outDim);
      return;
    }
    const left = tensors.matrix(rows, inDim, (to) => copyBlock(x, dense(to, inDim), rows, inDim));
    const right = tensors.matrix(inDim, outDim, (to) =>
      transposeBlock({ data: weight, at: 0, stride: inDim }, dense(to, outDim), outDim, inDim),
    );
    const product = dense(tensors.elements(tensors.multiply(left, right)), outDim);
    if (start === undefined) copyBlock(product, out, rows, outDim);
    else addBlock(start, product, out, rows, outDim);
  });
}

/** dx[M,K] = start + dOut·W. */
export function linearBackwardInput(tensors: Tensors, call: OnHost<LinearBackwardInputCall>): void {
  const { rows, inDim, outDim } = call;
  const weight = asFloats(call.weight);
  if (rows === 0 || inDim === 0) return;
  const dOut = blockOf(call.dOut, outDim);
  const dx = blockOf(call.dx, inDim);
  const start = call.accumulate === true ? dx : undefined;
  if (outDim === 0) return startOnly(start, dx, rows, inDim);
  tensors.scope(() => {
    const left = tensors.matrix(rows, outDim, (to) => copyBlock(dOut, dense(to, outDim), rows, outDim));
    const right = tensors.matrix(outDim, inDim, (to) => to.set(weight.subarray(0, outDim * inDim)));
    const product = dense(tensors.elements(tensors.multiply(left, right)), inDim);
    if (start === undefined) copyBlock(product, dx, rows, inDim);
    else addBlock(start, product, dx, rows, inDim);
  });
}

/** weightSum[N,K] gets the leaf dOutᵀ·x of each grain. */
export function linearBackwardWeight(tensors: Tensors, call: OnHost<LinearBackwardWeightCall>): void {
  const { inDim, outDim, grainStarts, weightSum } = call;
  if (inDim === 0 || outDim === 0) return;
  intoLeaves(
    weightSum,
    { first: 0, length: outDim * inDim },
    (count) => tensors.scratch(count),
    (sum) => {
      for (let grain = 0; grain + 1 < grainStarts.length; grain++) {
        const first = grainStarts[grain]!;
        const rows = grainStarts[grain + 1]! - first;
        if (rows === 0) continue;
        tensors.scope(() => {
          const left = tensors.matrix(outDim, rows, (to) =>
            transposeBlock(blockOf(call.dOut, outDim, first), dense(to, rows), rows, outDim),
          );
          const right = tensors.matrix(rows, inDim, (to) =>
            copyBlock(blockOf(call.x, inDim, first), dense(to, inDim), rows, inDim),
          );
          sum.add(0, tensors.elements(tensors.multiply(left, right)), outDim * inDim);
        });
      }
    },
  );
}
