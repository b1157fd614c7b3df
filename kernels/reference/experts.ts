import {
  hiddenInputs,
  type ExpertsBackwardCall,
  type ExpertsForwardCall,
  type OnHost,
} from '@troupe/kernel-set';
import type { ExpertSource, Floats, Halves } from '../on-host.ts';
import { KernelRangeError, KernelShapeError } from '../errors.ts';
import { activate, activationSlope } from './activation.ts';
import { expertsLength, rangeError } from './argument-check.ts';
import { operand, rounding, store, widened } from './bf16.ts';
import { addLeaves } from './exact-sum.ts';
import { intoTarget } from './gradient-target.ts';
import type { Kernel } from './kernel.ts';

/** Rows of one (expert, source, grain) that follow one another in the source's order and in compute order. */
export interface Segment {
  readonly expert: number;
  readonly sourceIndex: number;
  /** First row in the source's own order. */
  readonly sourceRow: number;
  /** First row in compute order (expert, source, grain, token). */
  readonly savedRow: number;
  readonly rows: number;
}

/** Cuts the rows of all sources into segments in compute order. */
export function segmentsOf(
  op: string,
  experts: number,
  sources: readonly ExpertSource[],
): { segments: Segment[]; totals: number[] } {
  const segments: Segment[] = [];
  const totals = sources.map(() => 0);
  let savedRow = 0;
  for (let expert = 0; expert < experts; expert++) {
    sources.forEach(({ counts_EG, numGrains }, sourceIndex) => {
      for (let grain = 0; grain < numGrains; grain++) {
        const rows = counts_EG[expert * numGrains + grain]!;
        if (rows < 0)
          throw new KernelRangeError(`${op}: sources[${sourceIndex}].counts_EG holds ${rows}, expected ≥ 0`);
        segments.push({ expert, sourceIndex, sourceRow: totals[sourceIndex]!, savedRow, rows });
        totals[sourceIndex]! += rows;
        savedRow += rows;
      }
    });
  }
  return { segments, totals };
}

/** Lengths that only the counts know, which an earlier call of the list may have written. */
export function atLeast(
  op: string,
  name: string,
  array: Floats | Halves | Int32Array | undefined,
  length: number,
): void {
  if (array !== undefined && array.length < length) {
    throw new KernelShapeError(
      `${op}: ${name}.length is ${array.length}, expected at least ${length} by the counts`,
      { op, argument: name },
    );
  }
}

export function checkSource(op: string, i: number, source: ExpertSource, rows: number, dim: number): void {
  const tokens = Math.floor(source.x_UD.length / dim);
  if (source.slots_N === undefined) {
    atLeast(op, `sources[${i}].x_UD`, source.x_UD, rows * dim);
    return;
  }
  atLeast(op, `sources[${i}].slots_N`, source.slots_N, rows);
  for (let row = 0; row < rows; row++) {
    const slot = source.slots_N[row]!;
    if (slot < 0 || slot >= tokens) rangeError(op, `sources[${i}].slots_N`, row, slot, tokens);
  }
}

/**
 * y = down·h; h = silu(gate·x) ⊙ (up·x) or act(up·x); pre-activations are saved as [gate | up] or [up].
 *
 * @see Shazeer 2020, arXiv:2002.05202, eq. 6 (SwiGLU)
 */
export const expertsForward: Kernel<ExpertsForwardCall> = {
  check(call, check) {
    check.experts(call);
    call.sources.forEach((source, i) => check.floats(`sources[${i}].y_ND`, source.y_ND, 0));
    if (call.saved !== undefined) check.saved(call.saved, call.precision);
  },
  run(call) {
    const { op, experts, dim, hidden, activation, expertStride, sources, accumulate, saved, precision } =
      call;
    const { segments, totals } = segmentsOf(op, experts, sources);
    const width = hiddenInputs(activation) * hidden;
    sources.forEach((source, i) => {
      checkSource(op, i, source, totals[i]!, dim);
      atLeast(op, `sources[${i}].y_ND`, source.y_ND, totals[i]! * dim);
    });
    atLeast(op, 'saved', saved, totals.reduce((a, b) => a + b, 0) * width);

    const round = rounding(precision);
    const weights = operand(call.weights, precision);
    const inputs = sources.map(({ x_UD }) => operand(x_UD, precision));
    const before = new Float64Array(width);
    const h = new Float64Array(hidden);
    for (const { expert, sourceIndex, sourceRow, savedRow, rows } of segments) {
      const { slots_N, y_ND } = sources[sourceIndex]!;
      const x_UD = inputs[sourceIndex]!;
      const inAt = expert * expertStride;
      const downAt = inAt + width * dim;
      for (let r = 0; r < rows; r++) {
        const row = sourceRow + r;
        const xAt = (slots_N === undefined ? row : slots_N[row]!) * dim;
        for (let f = 0; f < width; f++) {
          let sum = 0;
          for (let k = 0; k < dim; k++) sum += x_UD[xAt + k]! * weights[inAt + f * dim + k]!;
          before[f] = round(sum);
          if (saved !== undefined) store(saved, (savedRow + r) * width + f, sum);
        }
        for (let f = 0; f < hidden; f++)
          h[f] = round(activate(activation, before[f]!) * (width === hidden ? 1 : before[hidden + f]!));
        for (let d = 0; d < dim; d++) {
          let sum = accumulate === true ? y_ND[row * dim + d]! : 0;
          for (let f = 0; f < hidden; f++) sum += h[f]! * weights[downAt + d * hidden + f]!;
          y_ND[row * dim + d] = sum;
        }
      }
    }
  },
};

/** Gradients of the same, from dy = rowWeight·dOut[slot]; a leaf of every weight for each (source, grain). */
export const expertsBackward: Kernel<ExpertsBackwardCall> = {
  check(call, check) {
    check.experts(call);
    call.sources.forEach((source, i) => {
      check.floats(`sources[${i}].dOut_UD`, source.dOut_UD, 0);
      check.floats(`sources[${i}].dx_ND`, source.dx_ND, 0);
      if (source.rowWeights_N !== undefined)
        check.floats(`sources[${i}].rowWeights_N`, source.rowWeights_N, 0);
    });
    check.saved(call.saved, call.precision);
    check.target('weightSum', call.weightSum, expertsLength(call));
  },
  run(call) {
    const { op, experts, dim, hidden, activation, expertStride, sources, saved, weightSum, precision } = call;
    const { segments, totals } = segmentsOf(op, experts, sources);
    const width = hiddenInputs(activation) * hidden;
    sources.forEach((source, i) => {
      const rows = totals[i]!;
      checkSource(op, i, source, rows, dim);
      atLeast(
        op,
        `sources[${i}].dOut_UD`,
        source.dOut_UD,
        source.slots_N === undefined ? rows * dim : (largestSlot(source.slots_N, rows) + 1) * dim,
      );
      atLeast(op, `sources[${i}].rowWeights_N`, source.rowWeights_N, rows);
      atLeast(op, `sources[${i}].dx_ND`, source.dx_ND, rows * dim);
    });
    atLeast(op, 'saved', saved, totals.reduce((a, b) => a + b, 0) * width);

    const leaf = new Float64Array((width + hidden) * dim);
    const operands: BackwardOperands = {
      round: rounding(precision),
      weights: operand(call.weights, precision),
      saved: widened(saved),
      inputs: sources.map(({ x_UD }) => operand(x_UD, precision)),
    };
    // Every expert, also one without rows: a sum that begins here, or a stored gradient, is zero then.
    for (let expert = 0; expert < experts; expert++) {
      intoTarget(weightSum, expert * expertStride, leaf.length, (sum) => {
        for (const segment of segments) {
          if (segment.expert !== expert || segment.rows === 0) continue;
          leaf.fill(0);
          segmentBackward(call, operands, segment, leaf);
          addLeaves(sum, 0, leaf, leaf.length);
        }
      });
    }
  },
};

export function largestSlot(slots: Int32Array, rows: number): number {
  let largest = -1;
  for (let i = 0; i < rows; i++) largest = Math.max(largest, slots[i]!);
  return largest;
}

/** What the products of a backward pass multiply, in the call's precision. */
interface BackwardOperands {
  readonly round: (x: number) => number;
  readonly weights: Floats;
  readonly saved: Floats;
  /** x_UD of each source. */
  readonly inputs: readonly Floats[];
}

/** dx of one segment's rows and the leaf of its expert's weights, laid out as the weights. */
function segmentBackward(
  call: OnHost<ExpertsBackwardCall>,
  { round, weights, saved, inputs }: BackwardOperands,
  segment: Segment,
  leaf: Float64Array,
): void {
  const { dim, hidden, activation, expertStride, accumulate } = call;
  const { slots_N, dOut_UD, rowWeights_N, dx_ND } = call.sources[segment.sourceIndex]!;
  const x_UD = inputs[segment.sourceIndex]!;
  const gated = hiddenInputs(activation) === 2;
  const width = hiddenInputs(activation) * hidden;
  const inAt = segment.expert * expertStride;
  const downAt = inAt + width * dim;
  const leafDownAt = width * dim;
  const h = new Float64Array(hidden);
  const dh = new Float64Array(hidden);
  const dBefore = new Float64Array(width);
  const dx = new Float64Array(dim);
  for (let r = 0; r < segment.rows; r++) {
    const row = segment.sourceRow + r;
    const tokenAt = (slots_N === undefined ? row : slots_N[row]!) * dim;
    const savedAt = (segment.savedRow + r) * width;
    const rowWeight = rowWeights_N === undefined ? 1 : rowWeights_N[row]!;
    for (let f = 0; f < hidden; f++) {
      h[f] = round(activate(activation, saved[savedAt + f]!) * (gated ? saved[savedAt + hidden + f]! : 1));
    }
    dh.fill(0);
    for (let d = 0; d < dim; d++) {
      const dy = round(rowWeight * dOut_UD[tokenAt + d]!);
      for (let f = 0; f < hidden; f++) {
        dh[f]! += dy * weights[downAt + d * hidden + f]!;
        leaf[leafDownAt + d * hidden + f]! += dy * h[f]!;
      }
    }
    for (let f = 0; f < hidden; f++) {
      const before = saved[savedAt + f]!;
      dBefore[f] = round(
        dh[f]! * activationSlope(activation, before) * (gated ? saved[savedAt + hidden + f]! : 1),
      );
      if (gated) dBefore[hidden + f] = round(dh[f]! * activate(activation, before));
    }
    for (let k = 0; k < dim; k++) dx[k] = accumulate === true ? dx_ND[row * dim + k]! : 0;
    for (let f = 0; f < width; f++) {
      for (let k = 0; k < dim; k++) {
        dx[k]! += dBefore[f]! * weights[inAt + f * dim + k]!;
        leaf[f * dim + k]! += dBefore[f]! * x_UD[tokenAt + k]!;
      }
    }
    for (let k = 0; k < dim; k++) dx_ND[row * dim + k] = dx[k]!;
  }
}
