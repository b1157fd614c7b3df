import type { Tensor2D } from '@tensorflow/tfjs-core';
import type {
  AttentionBackwardCall,
  AttentionCall as DeviceAttentionCall,
  AttentionForwardCall,
  OnHost,
} from '@troupe/kernel-set';
import type { ExactSum, Rows } from '../on-host.ts';
import { biasLength, biasOf, type PairBias } from '../reference/attention-bias.ts';
import { checkSeen, keyLength, seenBy } from '../reference/attention-view.ts';
import { addLeaves } from '../reference/exact-sum.ts';
import { intoTarget } from '../reference/gradient-target.ts';
import { blockOf, copyBlock, transposeBlock, type Block } from './copies.ts';
import type { Tensors } from './tensors.ts';

/** Query rows at a time, so that the scores of a long sequence are never all in memory. */
const QUERY_ROWS = 128;

type AttentionCall = OnHost<DeviceAttentionCall>;

const dense = (data: Float32Array, columns: number): Block => ({ data, at: 0, stride: columns });

/** Rows of one head from row `first` on. */
function headBlock(
  { headDim }: AttentionCall,
  rows: Rows,
  heads: number,
  first: number,
  head: number,
): Block {
  const block = blockOf(rows, heads * headDim, first);
  return { ...block, at: block.at + head * headDim };
}

/** Queries of one head of one sequence, or what is as long, from position `first` on. */
const queryBlock = (call: AttentionCall, rows: Rows, b: number, head: number, first: number): Block =>
  headBlock(call, rows, call.heads, b * call.seqLen + first, head);
/** Keys or values of one head of one sequence. */
const keyBlock = (call: AttentionCall, rows: Rows, b: number, kvHead: number): Block =>
  headBlock(call, rows, call.kvHeads, b * keyLength(call), kvHead);

/** A copy of a block as a matrix, or its transpose. */
const load = (tensors: Tensors, block: Block, rows: number, columns: number): Tensor2D =>
  tensors.matrix(rows, columns, (to) => copyBlock(block, dense(to, columns), rows, columns));
const loadTransposed = (tensors: Tensors, block: Block, rows: number, columns: number): Tensor2D =>
  tensors.matrix(columns, rows, (to) => transposeBlock(block, dense(to, rows), rows, columns));

/** out = softmax(scale·q·kᵀ)·v by head and by block of query rows, with the mask and the softmax in the scores' own memory. */
export function attentionForward(tensors: Tensors, call: OnHost<AttentionForwardCall>): void {
  checkSeen(call);
  const { batch, seqLen, heads, kvHeads, headDim } = call;
  const keyLen = keyLength(call);
  if (keyLen === 0) return;
  const bias = biasOf(call);
  for (let b = 0; b < batch; b++) {
    for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
      tensors.scope(() => {
        const keys = loadTransposed(tensors, keyBlock(call, call.k, b, kvHead), keyLen, headDim);
        const values = load(tensors, keyBlock(call, call.v, b, kvHead), keyLen, headDim);
        for (let h = 0; h < heads; h++) {
          if (Math.floor((h * kvHeads) / heads) !== kvHead) continue;
          for (let first = 0; first < seqLen; first += QUERY_ROWS)
            tensors.scope(() => forwardBlock(tensors, call, { keys, values, bias }, { b, h, first }));
        }
      });
    }
  }
}

/** Query rows of one head of one sequence, from position `first` on. */
interface QueryRows {
  readonly b: number;
  readonly h: number;
  readonly first: number;
}

function forwardBlock(
  tensors: Tensors,
  call: OnHost<AttentionForwardCall>,
  {
    keys,
    values,
    bias,
  }: { readonly keys: Tensor2D; readonly values: Tensor2D; readonly bias: PairBias | null },
  { b, h, first }: QueryRows,
): void {
  const { seqLen, heads, headDim, scale, lse_TH } = call;
  const keyLen = keyLength(call);
  const rows = Math.min(QUERY_ROWS, seqLen - first);
  const q = load(tensors, queryBlock(call, call.q, b, h, first), rows, headDim);
  const weights = tensors.multiply(q, keys);
  const elements = tensors.elements(weights);
  for (let r = 0; r < rows; r++) {
    const row = b * seqLen + first + r;
    const at = r * keyLen;
    const [from, end] = seenBy(call, row).map((key) => at + key) as [number, number];
    const added = (j: number): number => (bias === null ? 0 : bias.value(row, h, j - at));
    let largest = -Infinity;
    for (let j = from; j < end; j++) largest = Math.max(largest, scale * elements[j]! + added(j));
    let total = 0;
    for (let j = from; j < end; j++) {
      const weight = Math.exp(scale * elements[j]! + added(j) - largest);
      total += weight;
      elements[j] = weight;
    }
    const inverse = 1 / total;
    for (let j = from; j < end; j++) elements[j] = elements[j]! * inverse;
    elements.fill(0, at, from);
    elements.fill(0, end, at + keyLen);
    lse_TH[row * heads + h] = largest + Math.log(total);
  }
  const softmax = tensors.rewritten(weights, elements);
  const out = dense(tensors.elements(tensors.multiply(softmax, values)), headDim);
  copyBlock(out, queryBlock(call, call.out, b, h, first), rows, headDim);
}

/** What a key/value head's query blocks share: operands, and the gradients they add to. */
interface KeyGradients {
  readonly keys: Tensor2D;
  readonly keysT: Tensor2D;
  readonly valuesT: Tensor2D;
  readonly dk: Float32Array;
  readonly dv: Float32Array;
  readonly bias: PairBias | null;
  /** Of the bias, of the grain that the sequence is in. */
  readonly leaf: Float64Array;
}

/** dS = p ⊙ (dOut·vᵀ - ⟨dOut, out⟩)·scale; dq = dS·k, dk = dSᵀ·q, dv = pᵀ·dOut. */
export function attentionBackward(tensors: Tensors, call: OnHost<AttentionBackwardCall>): void {
  checkSeen(call);
  if (call.biasSum === undefined) return allSequences(tensors, call, null);
  intoTarget(call.biasSum, 0, biasLength(call), (sum) => allSequences(tensors, call, sum));
}

function allSequences(tensors: Tensors, call: OnHost<AttentionBackwardCall>, biasSum: ExactSum | null): void {
  const { batch, seqLen, heads, kvHeads, headDim, grainStarts = [] } = call;
  const keyLen = keyLength(call);
  if (keyLen === 0) return;
  const dk = new Float32Array(keyLen * headDim);
  const dv = new Float32Array(keyLen * headDim);
  const [bias, leaf] = [biasOf(call), new Float64Array(biasLength(call))];
  let grain = 0;
  for (let b = 0; b < batch; b++) {
    for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
      dk.fill(0);
      dv.fill(0);
      tensors.scope(() => {
        const k = keyBlock(call, call.k, b, kvHead);
        const shared = {
          keys: load(tensors, k, keyLen, headDim),
          keysT: loadTransposed(tensors, k, keyLen, headDim),
          valuesT: loadTransposed(tensors, keyBlock(call, call.v, b, kvHead), keyLen, headDim),
          dk,
          dv,
          bias,
          leaf,
        };
        for (let h = 0; h < heads; h++) {
          if (Math.floor((h * kvHeads) / heads) !== kvHead) continue;
          for (let first = 0; first < seqLen; first += QUERY_ROWS)
            tensors.scope(() => backwardBlock(tensors, call, shared, { b, h, first }));
        }
      });
      copyBlock(dense(dk, headDim), keyBlock(call, call.dk, b, kvHead), keyLen, headDim);
      copyBlock(dense(dv, headDim), keyBlock(call, call.dv, b, kvHead), keyLen, headDim);
    }
    if (biasSum === null) continue;
    for (; grain + 1 < grainStarts.length && grainStarts[grain + 1]! <= (b + 1) * seqLen; grain++) {
      addLeaves(biasSum, 0, leaf, leaf.length);
      leaf.fill(0);
    }
  }
}

function backwardBlock(
  tensors: Tensors,
  call: OnHost<AttentionBackwardCall>,
  { keys, keysT, valuesT, dk, dv, bias, leaf }: KeyGradients,
  { b, h, first }: QueryRows,
): void {
  const { seqLen, heads, headDim, scale, lse_TH } = call;
  const keyLen = keyLength(call);
  const rows = Math.min(QUERY_ROWS, seqLen - first);
  const q = load(tensors, queryBlock(call, call.q, b, h, first), rows, headDim);
  const dOutBlock = queryBlock(call, call.dOut, b, h, first);
  const dOut = load(tensors, dOutBlock, rows, headDim);
  const weights = tensors.multiply(q, keysT);
  const dScores = tensors.multiply(dOut, valuesT);
  const outBlock = queryBlock(call, call.out, b, h, first);
  const [p, ds] = [tensors.elements(weights), tensors.elements(dScores)];
  for (let r = 0; r < rows; r++) {
    const row = b * seqLen + first + r;
    const at = r * keyLen;
    const [from, end] = seenBy(call, row).map((key) => at + key) as [number, number];
    const lse = lse_TH[row * heads + h]!;
    let meeting = 0;
    for (let d = 0; d < headDim; d++)
      meeting +=
        dOutBlock.data[dOutBlock.at + r * dOutBlock.stride + d]! *
        outBlock.data[outBlock.at + r * outBlock.stride + d]!;
    for (let j = from; j < end; j++) {
      const weight = Math.exp(scale * p[j]! + (bias === null ? 0 : bias.value(row, h, j - at)) - lse);
      p[j] = weight;
      if (bias !== null) leaf[bias.place(row, h, j - at)]! += weight * (ds[j]! - meeting);
      ds[j] = scale * weight * (ds[j]! - meeting);
    }
    for (const elements of [p, ds]) {
      elements.fill(0, at, from);
      elements.fill(0, end, at + keyLen);
    }
  }
  const [softmax, gradient] = [tensors.rewritten(weights, p), tensors.rewritten(dScores, ds)];
  const dq = dense(tensors.elements(tensors.multiply(gradient, keys)), headDim);
  copyBlock(dq, queryBlock(call, call.dq, b, h, first), rows, headDim);
  addAll(dk, tensors.elements(tensors.multiply(tensors.transpose(gradient), q)));
  addAll(dv, tensors.elements(tensors.multiply(tensors.transpose(softmax), dOut)));
}

function addAll(to: Float32Array, from: Float32Array): void {
  for (let i = 0; i < to.length; i++) to[i]! += from[i]!;
}
