import {
  hiddenInputs,
  type ExpertsBackwardCall,
  type ExpertsForwardCall,
  type OnHost,
} from '@troupe/kernel-set';
import type { ExpertSource } from '../on-host.ts';
import { atLeast, checkSource, largestSlot, segmentsOf, type Segment } from '../reference/experts.ts';
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
import { hiddenOf, hiddenBackward } from './hidden.ts';
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
function rowsByExpert(call: OnHost<ExpertsForwardCall> | OnHost<ExpertsBackwardCall>): ExpertRows[] {
  const { op, experts, dim, sources } = call;
  const { segments, totals } = segmentsOf(op, experts, sources);
  sources.forEach((source, i) => checkSource(op, i, source, totals[i]!, dim));
  checkLengths(call, totals);
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
      tokens: tokensOf(sources[segment.sourceIndex]!, segment),
    });
    group.rows += segment.rows;
  }
  return groups;
}

function checkLengths(
  call: OnHost<ExpertsForwardCall> | OnHost<ExpertsBackwardCall>,
  totals: readonly number[],
): void {
  const { op, dim } = call;
  if (op === 'experts.forward') {
    call.sources.forEach(({ y_ND }, i) => atLeast(op, `sources[${i}].y_ND`, y_ND, totals[i]! * dim));
  } else {
    call.sources.forEach(({ slots_N, dOut_UD, rowWeights_N, dx_ND }, i) => {
      const rows = totals[i]!;
      const tokens = slots_N === undefined ? rows : largestSlot(slots_N, rows) + 1;
      atLeast(op, `sources[${i}].dOut_UD`, dOut_UD, tokens * dim);
      atLeast(op, `sources[${i}].rowWeights_N`, rowWeights_N, rows);
      atLeast(op, `sources[${i}].dx_ND`, dx_ND, rows * dim);
    });
  }
  const total = totals.reduce((a, b) => a + b, 0);
  atLeast(op, 'saved', call.saved, total * hiddenInputs(call.activation) * call.hidden);
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
        if (group !== undefined) tensors.scope(() => expertBackward(tensors, call, group, sum));
      },
    );
  }
}

/** @param sum - of this expert's weights */
function expertBackward(
  tensors: Tensors,
  call: OnHost<ExpertsBackwardCall>,
  group: ExpertRows,
  sum: Leaves,
): void {
  const { dim, hidden, activation, expertStride, sources, saved } = call;
  const weights = asFloats(call.weights);
  const { rows } = group;
  const inputs = hiddenInputs(activation);
  const width = inputs * hidden;
  const inAt = group.expert * expertStride;
  const downAt = inAt + width * dim;

  const dy = tensors.matrix(dim, rows, (to) => {
    for (const { segment, column, tokens } of group.parts) {
      const { dOut_UD, rowWeights_N } = sources[segment.sourceIndex]!;
      const block = { data: to, at: column, stride: rows };
      gatherColumns(dOut_UD, tokens, dim, block, rowWeights_N, segment.sourceRow);
    }
  });
  const downT = tensors.matrix(hidden, dim, (to) =>
    transposeBlock({ data: weights, at: downAt, stride: hidden }, dense(to, dim), dim, hidden),
  );
  const dh = tensors.multiply(downT, dy);
  const before = Array.from({ length: inputs }, (_, i) =>
    tensors.matrix(hidden, rows, (to) =>
      transposeBlock(
        { data: asFloats(saved), at: group.savedRow * width + i * hidden, stride: width },
        dense(to, rows),
        rows,
        hidden,
      ),
    ),
  );
  const { h, dBefore } = hiddenBackward(tensors, activation, before, dh, hidden, rows);

  const inT = tensors.matrix(dim, width, (to) =>
    transposeBlock({ data: weights, at: inAt, stride: dim }, dense(to, width), width, dim),
  );
  const dx = tensors.elements(tensors.multiply(inT, dBefore));
  scatter(dx, group, dim, (i) => sources[i]!.dx_ND, call.accumulate === true);

  for (const { segment, column, tokens } of group.parts) {
    const count = segment.rows;
    tensors.scope(() => {
      /** Columns of this part of a [height, rows] matrix, as a left operand. */
      const slice = (matrix: typeof dy, height: number) =>
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
