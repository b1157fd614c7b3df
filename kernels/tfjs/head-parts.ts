/** The head over a part of the vocabulary. */
import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { HeadFinishCall, HeadPartialCall, OnHost } from '@troupe/kernel-set';
import { checkTargets } from '../reference/head-parts.ts';
import { asFloats, transposeBlock } from './copies.ts';
import { logitsRows } from './head.ts';
import { intoLeaves, type Leaves } from './leaves.ts';
import type { Tensors } from './tensors.ts';

type HeadPartCall = OnHost<HeadPartialCall> | OnHost<HeadFinishCall>;

/** headᵀ, packed once for all rows. */
function transposedHead(tensors: Tensors, { dim, vocab, head_VD }: HeadPartCall): Tensor2D {
  const from = { data: asFloats(head_VD), at: 0, stride: dim };
  return tensors.matrix(dim, vocab, (to) =>
    transposeBlock(from, { data: to, at: 0, stride: vocab }, vocab, dim),
  );
}

function inputs(tensors: Tensors, { dim, x_TD }: HeadPartCall, first: number, rows: number): Tensor2D {
  const x = asFloats(x_TD).subarray(first * dim, (first + rows) * dim);
  return tensors.matrix(rows, dim, (to) => to.set(x));
}

/** Maxima, sums and targets' logits of a part. */
export function headPartial(tensors: Tensors, call: OnHost<HeadPartialCall>): void {
  const { tokens, vocab, firstVocab, targets_T, max_T, sum_T, logit_T, logitSum_T } = call;
  checkTargets('head.partial', call);
  const chunk = logitsRows(vocab);
  tensors.scope(() => {
    const head = transposedHead(tensors, call);
    for (let first = 0; first < tokens; first += chunk) {
      const rows = Math.min(chunk, tokens - first);
      tensors.scope(() => {
        const logits = tensors.elements(tensors.multiply(inputs(tensors, call, first, rows), head));
        for (let r = 0; r < rows; r++) {
          const t = first + r;
          const row = logits.subarray(r * vocab, (r + 1) * vocab);
          let largest = -Infinity;
          for (let v = 0; v < vocab; v++) largest = Math.max(largest, row[v]!);
          let sum = 0;
          for (let v = 0; v < vocab; v++) sum += Math.exp(row[v]! - largest);
          max_T[t] = largest;
          sum_T[t] = sum;
          logit_T[t] = row[targets_T[t]! - firstVocab] ?? 0;
          if (logitSum_T !== undefined) logitSum_T[t] = row.reduce((all, logit) => all + logit, 0);
        }
      });
    }
  });
}

/** dx and the head's leaves of a part. */
export function headFinish(tensors: Tensors, call: OnHost<HeadFinishCall>): void {
  const { dim, vocab, grainStarts } = call;
  checkTargets('head.finish', call);
  intoLeaves(
    call.headSum,
    { first: 0, length: vocab * dim },
    (count) => tensors.scratch(count),
    (sum) =>
      tensors.scope(() => {
        const plain = tensors.matrix(vocab, dim, (to) =>
          to.set(asFloats(call.head_VD).subarray(0, vocab * dim)),
        );
        const head = { transposed: transposedHead(tensors, call), plain };
        for (let grain = 0; grain + 1 < grainStarts.length; grain++)
          grainGradients(
            tensors,
            call,
            head,
            { first: grainStarts[grain]!, end: grainStarts[grain + 1]! },
            sum,
          );
      }),
  );
}

/** One grain in chunks of rows; the leaf is added up over chunks before it is rounded. */
function grainGradients(
  tensors: Tensors,
  call: OnHost<HeadFinishCall>,
  head: { readonly transposed: Tensor2D; readonly plain: Tensor2D },
  { first, end }: { readonly first: number; readonly end: number },
  sum: Leaves,
): void {
  const { dim, vocab, dx_TD } = call;
  const chunk = logitsRows(vocab);
  let leaf: Tensor2D | null = null;
  for (let at = first; at < end; at += chunk) {
    const rows = Math.min(chunk, end - at);
    const part = tensors.scope(() => {
      const x = inputs(tensors, call, at, rows);
      const product = tensors.multiply(x, head.transposed);
      const logits = tensors.elements(product);
      turnIntoGradients(call, at, rows, logits);
      const gradient = tensors.rewritten(product, logits);
      dx_TD.set(tensors.elements(tensors.multiply(gradient, head.plain)).subarray(0, rows * dim), at * dim);
      return tensors.multiply(tensors.transpose(gradient), inputs(tensors, call, at, rows));
    });
    leaf = leaf === null ? part : tensors.addInto(leaf, part);
  }
  if (leaf === null) return;
  sum.add(0, tensors.elements(leaf), vocab * dim);
  leaf.dispose();
}

function turnIntoGradients(
  {
    vocab,
    firstVocab,
    targets_T,
    lse_T,
    gradScale,
    smoothing = 0,
    fullVocab = vocab,
  }: OnHost<HeadFinishCall>,
  first: number,
  rows: number,
  logits: Float32Array,
): void {
  for (let r = 0; r < rows; r++) {
    const [at, target, lse] = [r * vocab, targets_T[first + r]!, lse_T[first + r]!];
    for (let v = 0; v < vocab; v++) {
      const wanted = (target === firstVocab + v ? 1 - smoothing : 0) + smoothing / fullVocab;
      logits[at + v] = target < 0 ? 0 : (Math.exp(logits[at + v]! - lse) - wanted) * gradScale;
    }
  }
}
