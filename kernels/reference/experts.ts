import {
  hiddenInputs,
  type ExpertsBackwardCall,
  type ExpertsBackwardInputCall,
  type ExpertsBackwardWeightCall,
  type ExpertsForwardCall,
  type OnHost,
} from '@troupe/kernel-set';
import type { ExpertSource, Floats, Halves } from '../on-host.ts';
import { KernelRangeError, KernelShapeError } from '../errors.ts';
import { activate, activationSlope } from './activation.ts';
import { expertsLength, rangeError, type ArgumentCheck } from './argument-check.ts';
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

/** Segments of a forward pass, once all arrays are known to be long enough for them. */
export function forwardSegments(call: OnHost<ExpertsForwardCall>): readonly Segment[] {
  const { op, experts, dim, hidden, activation, sources, saved } = call;
  const { segments, totals } = segmentsOf(op, experts, sources);
  sources.forEach((source, i) => {
    checkSource(op, i, source, totals[i]!, dim);
    atLeast(op, `sources[${i}].y_ND`, source.y_ND, totals[i]! * dim);
  });
  atLeast(op, 'saved', saved, totals.reduce((a, b) => a + b, 0) * hiddenInputs(activation) * hidden);
  return segments;
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
    if (call.saved !== undefined) check.saved('saved', call.saved, call.precision);
  },
  run(call) {
    const { dim, hidden, activation, expertStride, sources, accumulate, saved, precision } = call;
    const segments = forwardSegments(call);
    const width = hiddenInputs(activation) * hidden;
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

export type BackwardCall =
  OnHost<ExpertsBackwardCall> | OnHost<ExpertsBackwardInputCall> | OnHost<ExpertsBackwardWeightCall>;

/** dx_ND of every source, where the call gives them. */
const inputGradients = (call: BackwardCall): readonly Floats[] =>
  call.op === 'experts.backward.weight' ? [] : call.sources.map(({ dx_ND }) => dx_ND);

function checkBackward(call: BackwardCall, check: ArgumentCheck): void {
  check.experts(call);
  call.sources.forEach((source, i) => {
    check.floats(`sources[${i}].dOut_UD`, source.dOut_UD, 0);
    if (source.rowWeights_N !== undefined) check.floats(`sources[${i}].rowWeights_N`, source.rowWeights_N, 0);
  });
  inputGradients(call).forEach((dx_ND, i) => check.floats(`sources[${i}].dx_ND`, dx_ND, 0));
  check.saved('saved', call.saved, call.precision);
  if ('dSaved' in call) check.saved('dSaved', call.dSaved, call.precision);
  if ('weightSum' in call) check.target('weightSum', call.weightSum, expertsLength(call));
}

/** Segments of a backward pass, once all arrays are known to be long enough for them. */
export function backwardSegments(call: BackwardCall): readonly Segment[] {
  const { op, experts, dim, hidden, activation, sources } = call;
  const { segments, totals } = segmentsOf(op, experts, sources);
  sources.forEach((source, i) => {
    const rows = totals[i]!;
    checkSource(op, i, source, rows, dim);
    const tokens = source.slots_N === undefined ? rows : largestSlot(source.slots_N, rows) + 1;
    atLeast(op, `sources[${i}].dOut_UD`, source.dOut_UD, tokens * dim);
    atLeast(op, `sources[${i}].rowWeights_N`, source.rowWeights_N, rows);
  });
  inputGradients(call).forEach((dx_ND, i) => atLeast(op, `sources[${i}].dx_ND`, dx_ND, totals[i]! * dim));
  const length = totals.reduce((a, b) => a + b, 0) * hiddenInputs(activation) * hidden;
  atLeast(op, 'saved', call.saved, length);
  if ('dSaved' in call) atLeast(op, 'dSaved', call.dSaved, length);
  return segments;
}

const operandsOf = ({ weights, saved, sources, precision }: BackwardCall): BackwardOperands => ({
  round: rounding(precision),
  weights: operand(weights, precision),
  saved: widened(saved),
  inputs: sources.map(({ x_UD }) => operand(x_UD, precision)),
});

/** Leaves of every expert, also of one without rows: a sum that begins here, or a stored gradient, is zero then. */
function addExpertLeaves(
  call: OnHost<ExpertsBackwardCall> | OnHost<ExpertsBackwardWeightCall>,
  addLeaf: (segment: Segment, leaf: Float64Array) => void,
): void {
  const segments = backwardSegments(call);
  const leaf = new Float64Array((hiddenInputs(call.activation) + 1) * call.hidden * call.dim);
  for (let expert = 0; expert < call.experts; expert++) {
    intoTarget(call.weightSum, expert * call.expertStride, leaf.length, (sum) => {
      for (const segment of segments) {
        if (segment.expert !== expert || segment.rows === 0) continue;
        leaf.fill(0);
        addLeaf(segment, leaf);
        addLeaves(sum, 0, leaf, leaf.length);
      }
    });
  }
}

/** Gradients of the same, from dy = rowWeight·dOut[slot]; a leaf of every weight for each (source, grain). */
export const expertsBackward: Kernel<ExpertsBackwardCall> = {
  check: checkBackward,
  run(call) {
    const operands = operandsOf(call);
    addExpertLeaves(call, (segment, leaf) => segmentBackward(call, operands, segment, { leaf, rows: call }));
  },
};

/** The half of dx. */
export const expertsBackwardInput: Kernel<ExpertsBackwardInputCall> = {
  check: checkBackward,
  run(call) {
    const operands = operandsOf(call);
    for (const segment of backwardSegments(call))
      segmentBackward(call, operands, segment, { rows: call, dSaved: call.dSaved });
  },
};

/** The half of the weights. Float32 cannot hold the gradients of the pre-activations as they were added up, so they are computed again. */
export const expertsBackwardWeight: Kernel<ExpertsBackwardWeightCall> = {
  check: checkBackward,
  run(call) {
    const operands = operandsOf(call);
    addExpertLeaves(call, (segment, leaf) => segmentBackward(call, operands, segment, { leaf }));
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

/** What a backward pass of one segment gives: dx of its rows, gradients of their pre-activations, the leaf of its expert's weights. */
interface SegmentResults {
  readonly rows?: OnHost<ExpertsBackwardCall> | OnHost<ExpertsBackwardInputCall>;
  readonly dSaved?: Floats | Halves;
  /** Laid out as the weights. */
  readonly leaf?: Float64Array;
}

function segmentBackward(
  call: BackwardCall,
  { round, weights, saved, inputs }: BackwardOperands,
  segment: Segment,
  { rows, dSaved, leaf }: SegmentResults,
): void {
  const { dim, hidden, activation, expertStride } = call;
  const { slots_N, dOut_UD, rowWeights_N } = call.sources[segment.sourceIndex]!;
  const accumulate = rows?.accumulate === true;
  const dx_ND = rows?.sources[segment.sourceIndex]!.dx_ND;
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
      }
      if (leaf === undefined) continue;
      for (let f = 0; f < hidden; f++) leaf[leafDownAt + d * hidden + f]! += dy * h[f]!;
    }
    for (let f = 0; f < hidden; f++) {
      const before = saved[savedAt + f]!;
      dBefore[f] = round(
        dh[f]! * activationSlope(activation, before) * (gated ? saved[savedAt + hidden + f]! : 1),
      );
      if (gated) dBefore[hidden + f] = round(dh[f]! * activate(activation, before));
    }
    if (dSaved !== undefined) for (let f = 0; f < width; f++) store(dSaved, savedAt + f, dBefore[f]!);
    if (leaf !== undefined) {
      for (let f = 0; f < width; f++) {
        for (let k = 0; k < dim; k++) leaf[f * dim + k]! += dBefore[f]! * x_UD[tokenAt + k]!;
      }
    }
    if (dx_ND === undefined) continue;
    for (let k = 0; k < dim; k++) dx[k] = accumulate ? dx_ND[row * dim + k]! : 0;
    for (let f = 0; f < width; f++) {
      for (let k = 0; k < dim; k++) dx[k]! += dBefore[f]! * weights[inAt + f * dim + k]!;
    }
    for (let k = 0; k < dim; k++) dx_ND[row * dim + k] = dx[k]!;
  }
}
