import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { HeadLossCall, OnHost } from '@troupe/kernel-set';
import { rangeError } from '../reference/argument-check.ts';
import { addLossLeaf } from '../reference/exact-sum.ts';
import { logSumExp } from '../reference/gate.ts';
import { asFloats, transposeBlock } from './copies.ts';
import { intoLeaves, type Leaves } from './leaves.ts';
import type { Tensors } from './tensors.ts';

/** Logits held at a time, at most (16 MiB), but never fewer than 16 rows. */
const LOGITS_MOST = 1 << 22;
/** Rows of logits held at a time. */
export const logitsRows = (vocab: number): number => Math.max(16, Math.floor(LOGITS_MOST / vocab));
/** Below this a probability is no longer accurate to float32 and the loss is computed from the logits. */
const PROBABILITY_LEAST = 1e-30;

/** Both orientations of the head, packed once for all grains. */
interface Head {
  readonly transposed: Tensor2D;
  readonly plain: Tensor2D | null;
}

/** loss = logsumexp - logit of the target, and with `dx_TD` or `headSum` its gradient. */
export function headLoss(tensors: Tensors, call: OnHost<HeadLossCall>): void {
  const { tokens, dim, vocab, targets_T } = call;
  for (let t = 0; t < tokens; t++) {
    const target = targets_T[t]!;
    if (target < -1 || target >= vocab) rangeError('head.loss', 'targets_T', t, target, vocab);
  }
  if (call.headSum === undefined) allGrains(tensors, call, null);
  else
    intoLeaves(
      call.headSum,
      { first: 0, length: vocab * dim },
      (count) => tensors.scratch(count),
      (sum) => allGrains(tensors, call, sum),
    );
}

function allGrains(tensors: Tensors, call: OnHost<HeadLossCall>, headSum: Leaves | null): void {
  const { dim, vocab, grainStarts } = call;
  const head_VD = asFloats(call.head_VD);
  tensors.scope(() => {
    const head = {
      transposed: tensors.matrix(dim, vocab, (to) =>
        transposeBlock({ data: head_VD, at: 0, stride: dim }, { data: to, at: 0, stride: vocab }, vocab, dim),
      ),
      plain:
        call.dx_TD === undefined
          ? null
          : tensors.matrix(vocab, dim, (to) => to.set(head_VD.subarray(0, vocab * dim))),
    };
    for (let grain = 0; grain + 1 < grainStarts.length; grain++)
      grainLoss(tensors, call, { head, headSum, first: grainStarts[grain]!, end: grainStarts[grain + 1]! });
  });
}

/** One grain in chunks of rows; the leaf of the head is added up over chunks before it is rounded. */
function grainLoss(
  tensors: Tensors,
  call: OnHost<HeadLossCall>,
  grain: {
    readonly head: Head;
    readonly headSum: Leaves | null;
    readonly first: number;
    readonly end: number;
  },
): void {
  const { dim, vocab, loss_T, lossSum, nllSum } = call;
  const { head, headSum, first, end } = grain;
  const chunk = logitsRows(vocab);
  let leaf: Tensor2D | null = null;
  let lossLeaf = 0;
  const plain: PlainLoss = { sum: 0 };
  for (let at = first; at < end; at += chunk) {
    const rows = Math.min(chunk, end - at);
    const part = tensors.scope(() => chunkLoss(tensors, call, head, { first: at, rows, plain }));
    for (let t = at; t < at + rows; t++) lossLeaf += loss_T[t]!;
    if (part !== null) leaf = leaf === null ? part : tensors.addInto(leaf, part);
  }
  addLossLeaf(lossSum, 0, lossLeaf);
  if (nllSum !== undefined) addLossLeaf(nllSum, 0, plain.sum);
  if (headSum === null || leaf === null) return;
  headSum.add(0, tensors.elements(leaf), vocab * dim);
  leaf.dispose();
}

/** Σ of losses without smoothing. */
interface PlainLoss {
  sum: number;
}
interface Chunk {
  readonly first: number;
  readonly rows: number;
  readonly plain: PlainLoss;
}

/** Losses and dx of some rows; returns their part of the head's leaf when it is wanted. */
function chunkLoss(tensors: Tensors, call: OnHost<HeadLossCall>, head: Head, chunk: Chunk): Tensor2D | null {
  const { first, rows } = chunk;
  const { dim, x_TD, dx_TD, headSum, gradScale = 0 } = call;
  const x = tensors.matrix(rows, dim, (to) => to.set(x_TD.subarray(first * dim, (first + rows) * dim)));
  const logits = tensors.multiply(x, head.transposed);
  const softmax = tensors.softmax(logits);
  const probabilities = tensors.elements(softmax);
  losses(call, tensors.elements(logits), probabilities, chunk);
  /** Of the logits, without its scale. */
  const gradient = tensors.rewritten(softmax, probabilities);
  if (dx_TD !== undefined && head.plain !== null) {
    const dx = tensors.elements(tensors.multiply(gradient, head.plain));
    for (let i = 0; i < rows * dim; i++) dx_TD[first * dim + i] = dx[i]! * gradScale;
  }
  if (headSum === undefined) return null;
  const scaled = tensors.matrix(rows, dim, (to) => {
    for (let i = 0; i < rows * dim; i++) to[i] = x_TD[first * dim + i]! * gradScale;
  });
  return tensors.multiply(tensors.transpose(gradient), scaled);
}

/** Fills loss_T and turns each row of probabilities into softmax - what is wanted, or into 0 for an ignored target. */
function losses(
  { vocab, targets_T, loss_T, smoothing = 0 }: OnHost<HeadLossCall>,
  logits: Float32Array,
  probabilities: Float32Array,
  { first, rows, plain }: Chunk,
): void {
  for (let r = 0; r < rows; r++) {
    const target = targets_T[first + r]!;
    const at = r * vocab;
    if (target < 0) {
      loss_T[first + r] = 0;
      probabilities.fill(0, at, at + vocab);
      continue;
    }
    const probability = probabilities[at + target]!;
    const nll =
      probability > PROBABILITY_LEAST
        ? 0 - Math.log(probability)
        : logSumExp(logits, at, vocab) - logits[at + target]!;
    loss_T[first + r] = nll;
    plain.sum += nll;
    probabilities[at + target] = probability - 1;
    if (smoothing === 0) continue;
    let sum = 0;
    for (let v = at; v < at + vocab; v++) {
      sum += logits[v]!;
      probabilities[v]! -= smoothing / vocab;
    }
    probabilities[at + target]! += smoothing;
    loss_T[first + r] = nll + smoothing * (logits[at + target]! - sum / vocab);
  }
}
