import type { Tensor2D } from '@tensorflow/tfjs-core';
import {
  hiddenInputs,
  type ExpertCall,
  type ExpertsBackwardCall,
  type ExpertsBackwardInputCall,
  type ExpertsBackwardWeightCall,
  type ExpertsForwardCall,
  type OnHost,
} from '@troupe/kernel-set';
import type { ExpertSource } from '../on-host.ts';
import { backwardSegments, forwardSegments, type BackwardCall, type Segment } from '../reference/experts.ts';
import {
  addTransposed,
  asFloats,
  copyBlock,
  gatherColumns,
  gatherRows,
  transposeBlock,
  type Block,
} from './copies.ts';
import { intoLeaves, type Leaves } from './leaves.ts';
import { hiddenOf, hiddenBackward, type HiddenGradient } from './hidden.ts';
import type { Tensors } from './tensors.ts';

/** A segment with its place among its expert's rows and the tokens its rows stand for. */
interface Part {
  readonly segment: Segment;
  readonly column: number;
  readonly tokens: Int32Array;
}

/** All rows of one expert, in compute order. */
interface ExpertRows {
  readonly expert: number;
  readonly rows: number;
  readonly savedRow: number;
  readonly parts: readonly Part[];
}

function tokensOf(source: ExpertSource, { sourceRow, rows }: Segment): Int32Array {
  if (source.slots_N !== undefined) return source.slots_N.subarray(sourceRow, sourceRow + rows);
  return Int32Array.from({ length: rows }, (_, i) => sourceRow + i);
}

/** Checks what only the counts know and groups the rows by expert; experts without rows are left out. */
function rowsByExpert(call: OnHost<ExpertCall>): ExpertRows[] {
  const segments = call.op === 'experts.forward' ? forwardSegments(call) : backwardSegments(call);
  const groups: { expert: number; rows: number; savedRow: number; parts: Part[] }[] = [];
  for (const segment of segments) {
    if (segment.rows === 0) continue;
    let group = groups.at(-1);
    if (group?.expert !== segment.expert) {
      group = { expert: segment.expert, rows: 0, savedRow: segment.savedRow, parts: [] };
      groups.push(group);
    }
    group.parts.push({
      segment,
      column: group.rows,
      tokens: tokensOf(call.sources[segment.sourceIndex]!, segment),
    });
    group.rows += segment.rows;
  }
  return groups;
}

const dense = (data: Float32Array, columns: number): Block => ({ data, at: 0, stride: columns });

/** Columns of a product go to the rows of their sources. */
function scatter(
  columns: Float32Array,
  { rows, parts }: ExpertRows,
  dim: number,
  rowsOf: (sourceIndex: number) => Block['data'],
  accumulate: boolean,
): void {
  for (const { segment, column } of parts) {
    const from = { data: columns, at: column, stride: rows };
    const to = { data: rowsOf(segment.sourceIndex), at: segment.sourceRow * dim, stride: dim };
    if (accumulate) addTransposed(to, from, to, segment.rows, dim);
    else transposeBlock(from, to, dim, segment.rows);
  }
}

/**
 * y = down·act(in·x), everything transposed: rows are columns of the right operand, so that the weights, the larger
 * operand, are used as they lie and only rows are packed.
 */
export function expertsForward(tensors: Tensors, call: OnHost<ExpertsForwardCall>): void {
  const { dim, hidden, activation, expertStride, sources, saved } = call;
  const weights = asFloats(call.weights);
  const groups = rowsByExpert(call);
  const inputs = hiddenInputs(activation);
  for (const group of groups) {
    const { rows } = group;
    const inAt = group.expert * expertStride;
    if (hidden === 0) {
      scatter(new Float32Array(dim * rows), group, dim, (i) => sources[i]!.y_ND, call.accumulate === true);
      continue;
    }
    tensors.scope(() => {
      const right = tensors.matrix(dim, rows, (to) => {
        for (const { segment, column, tokens } of group.parts)
          gatherColumns(sources[segment.sourceIndex]!.x_UD, tokens, dim, {
            data: to,
            at: column,
            stride: rows,
          });
      });
      const before = Array.from({ length: inputs }, (_, i) => {
        const at = inAt + i * hidden * dim;
        const left = tensors.matrix(hidden, dim, (to) => to.set(weights.subarray(at, at + hidden * dim)));
        return tensors.multiply(left, right);
      });
      if (saved !== undefined) {
        const width = inputs * hidden;
        before.forEach((tensor, i) => {
          const to = { data: asFloats(saved), at: group.savedRow * width + i * hidden, stride: width };
          transposeBlock(dense(tensors.elements(tensor), rows), to, hidden, rows);
        });
      }
      const h = hiddenOf(tensors, activation, before, hidden, rows);
      const downAt = inAt + inputs * hidden * dim;
      const down = tensors.matrix(dim, hidden, (to) =>
        to.set(weights.subarray(downAt, downAt + dim * hidden)),
      );
      const y = tensors.elements(tensors.multiply(down, h));
      scatter(y, group, dim, (i) => sources[i]!.y_ND, call.accumulate === true);
    });
  }
}

/** Gradients of the same, and a leaf of the expert's weights for each (source, grain). */
export function expertsBackward(tensors: Tensors, call: OnHost<ExpertsBackwardCall>): void {
  addExpertLeaves(tensors, call, (group, sum) => {
    const hidden = expertBackward(tensors, call, group);
    addWeightLeaves(tensors, call, group, hidden, sum);
  });
}

/** The half of dx. */
export function expertsBackwardInput(tensors: Tensors, call: OnHost<ExpertsBackwardInputCall>): void {
  const width = hiddenInputs(call.activation) * call.hidden;
  const dSaved = asFloats(call.dSaved);
  for (const group of rowsByExpert(call)) {
    tensors.scope(() => {
      const { dBefore } = expertBackward(tensors, call, group);
      const to = { data: dSaved, at: group.savedRow * width, stride: width };
      transposeBlock(dense(tensors.elements(dBefore), group.rows), to, width, group.rows);
    });
  }
}

/** The half of the weights. */
export function expertsBackwardWeight(tensors: Tensors, call: OnHost<ExpertsBackwardWeightCall>): void {
  const { activation, hidden } = call;
  const width = hiddenInputs(activation) * hidden;
  addExpertLeaves(tensors, call, (group, sum) => {
    const { rows } = group;
    const before = savedBefore(tensors, call, group);
    const h = Float32Array.from(tensors.elements(hiddenOf(tensors, activation, before, hidden, rows)));
    const dBefore = tensors.matrix(width, rows, (to) => {
      const from = { data: asFloats(call.dSaved), at: group.savedRow * width, stride: width };
      transposeBlock(from, dense(to, rows), rows, width);
    });
    const dy = outputGradients(tensors, call, group);
    addWeightLeaves(tensors, call, group, { dy, h, dBefore }, sum);
  });
}

/** Calls `add` for each expert with rows, with the leaves of its weights. */
function addExpertLeaves(
  tensors: Tensors,
  call: OnHost<ExpertsBackwardCall> | OnHost<ExpertsBackwardWeightCall>,
  add: (group: ExpertRows, sum: Leaves) => void,
): void {
  const { experts, dim, hidden, activation, expertStride, weightSum } = call;
  const groups = new Map(rowsByExpert(call).map((group) => [group.expert, group]));
  const length = (hiddenInputs(activation) + 1) * hidden * dim;
  for (let expert = 0; expert < experts; expert++) {
    intoLeaves(
      weightSum,
      { first: expert * expertStride, length },
      (count) => tensors.scratch(count),
      (sum) => {
        const group = groups.get(expert);
        if (group !== undefined) tensors.scope(() => add(group, sum));
      },
    );
  }
}

/** rowWeight·dOut of an expert's rows, [D, rows]. */
function outputGradients(tensors: Tensors, call: BackwardCall, { rows, parts }: ExpertRows): Tensor2D {
  return tensors.matrix(call.dim, rows, (to) => {
    for (const { segment, column, tokens } of parts) {
      const { dOut_UD, rowWeights_N } = call.sources[segment.sourceIndex]!;
      const block = { data: to, at: column, stride: rows };
      gatherColumns(dOut_UD, tokens, call.dim, block, rowWeights_N, segment.sourceRow);
    }
  });
}

/** Pre-activations, [hidden, rows] for each input. */
function savedBefore(tensors: Tensors, call: BackwardCall, { rows, savedRow }: ExpertRows): Tensor2D[] {
  const { hidden, saved } = call;
  const inputs = hiddenInputs(call.activation);
  const width = inputs * hidden;
  return Array.from({ length: inputs }, (_, i) =>
    tensors.matrix(hidden, rows, (to) =>
      transposeBlock(
        { data: asFloats(saved), at: savedRow * width + i * hidden, stride: width },
        dense(to, rows),
        rows,
        hidden,
      ),
    ),
  );
}

/** What the leaves of an expert's weights are made of: gradients of its outputs and pre-activations, and its hidden activations. */
interface HiddenRows extends HiddenGradient {
  readonly dy: Tensor2D;
}

/** dx of an expert's rows. */
function expertBackward(
  tensors: Tensors,
  call: OnHost<ExpertsBackwardCall> | OnHost<ExpertsBackwardInputCall>,
  group: ExpertRows,
): HiddenRows {
  const { dim, hidden, activation, expertStride, sources } = call;
  const weights = asFloats(call.weights);
  const { rows } = group;
  const width = hiddenInputs(activation) * hidden;
  const inAt = group.expert * expertStride;
  const downAt = inAt + width * dim;

  const dy = outputGradients(tensors, call, group);
  const downT = tensors.matrix(hidden, dim, (to) =>
    transposeBlock({ data: weights, at: downAt, stride: hidden }, dense(to, dim), dim, hidden),
  );
  const dh = tensors.multiply(downT, dy);
  const before = savedBefore(tensors, call, group);
  const { h, dBefore } = hiddenBackward(tensors, activation, before, dh, hidden, rows);

  const inT = tensors.matrix(dim, width, (to) =>
    transposeBlock({ data: weights, at: inAt, stride: dim }, dense(to, width), width, dim),
  );
  const dx = tensors.elements(tensors.multiply(inT, dBefore));
  scatter(dx, group, dim, (i) => sources[i]!.dx_ND, call.accumulate === true);
  return { dy, h, dBefore };
}

/** @param sum - of this expert's weights */
function addWeightLeaves(
  tensors: Tensors,
  call: BackwardCall,
  { rows, parts }: ExpertRows,
  { dy, h, dBefore }: HiddenRows,
  sum: Leaves,
): void {
  const { dim, hidden, activation, sources } = call;
  const width = hiddenInputs(activation) * hidden;
  for (const { segment, column, tokens } of parts) {
    const count = segment.rows;
    tensors.scope(() => {
      /** Columns of this part of a [height, rows] matrix, as a left operand. */
      const slice = (matrix: Tensor2D, height: number) =>
        count === rows
          ? matrix
          : tensors.matrix(height, count, (to) => {
              const from = { data: tensors.elements(matrix), at: column, stride: rows };
              copyBlock(from, dense(to, count), height, count);
            });
      const x = tensors.matrix(count, dim, (to) =>
        gatherRows(sources[segment.sourceIndex]!.x_UD, tokens, dim, to),
      );
      sum.add(0, tensors.elements(tensors.multiply(slice(dBefore, width), x)), width * dim);
      const hRows = tensors.matrix(count, hidden, (to) =>
        transposeBlock({ data: h, at: column, stride: rows }, dense(to, hidden), hidden, count),
      );
      sum.add(width * dim, tensors.elements(tensors.multiply(slice(dy, dim), hRows)), dim * hidden);
    });
  }
}
