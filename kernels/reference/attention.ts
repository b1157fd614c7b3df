import type {
  AttentionBackwardCall,
  AttentionCall as DeviceAttentionCall,
  AttentionForwardCall,
  OnHost,
} from '@troupe/kernel-set';
import type { ExactSum, Floats } from '../on-host.ts';
import { rangeError, rowsLayout, type ArgumentCheck } from './argument-check.ts';
import { biasLength, biasOf, checkBias, type PairBias } from './attention-bias.ts';
import { checkSeen, keyLength, seenBy } from './attention-view.ts';
import { addLeaves } from './exact-sum.ts';
import { intoTarget } from './gradient-target.ts';
import type { Kernel } from './kernel.ts';

type AttentionCall = OnHost<DeviceAttentionCall>;

function checkAttention(
  call: AttentionCall,
  check: ArgumentCheck,
): { tokens: number; keys: number; queryWidth: number; keyWidth: number } {
  const { batch, seqLen, heads, kvHeads, headDim, endSeen_T } = call;
  check.sizes({ batch, seqLen });
  if (call.keyLen !== undefined) check.size('keyLen', call.keyLen, 1);
  check.size('heads', heads, 1);
  check.size('kvHeads', kvHeads, 1);
  check.size('headDim', headDim, 1);
  check.number('scale', call.scale);
  const [tokens, keys] = [batch * seqLen, batch * keyLength(call)];
  const [queryWidth, keyWidth] = [heads * headDim, kvHeads * headDim];
  check.rows('q', call.q, tokens, queryWidth);
  check.rows('k', call.k, keys, keyWidth);
  check.rows('v', call.v, keys, keyWidth);
  check.rows('out', call.out, tokens, queryWidth);
  check.floats('lse_TH', call.lse_TH, tokens * heads);
  if (call.firstSeen_T !== undefined) check.ints('firstSeen_T', call.firstSeen_T, tokens);
  if (endSeen_T !== undefined) check.ints('endSeen_T', endSeen_T, tokens);
  else if (keyLength(call) !== seqLen)
    check.fail(
      'endSeen_T',
      'undefined',
      `an Int32Array, since keyLen ${keyLength(call)} is not seqLen ${seqLen}`,
    );
  checkBias(call, check);
  return { tokens, keys, queryWidth, keyWidth };
}

function dot(a: Floats, aAt: number, b: Floats, bAt: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += a[aAt + i]! * b[bAt + i]!;
  return sum;
}

/**
 * out_t = Σ_j p_tj·v_j, p_t = softmax over the keys j that t sees of scale·⟨q_t, k_j⟩; lse = log Σ exp of those scores.
 *
 * @see Vaswani et al. 2017, arXiv:1706.03762, eq. 1; Ainslie et al. 2023, arXiv:2305.13245 (grouped queries)
 */
export const attentionForward: Kernel<AttentionForwardCall> = {
  check(call, check) {
    checkAttention(call, check);
  },
  run(call) {
    checkSeen(call);
    const { batch, seqLen, heads, kvHeads, headDim, scale, lse_TH } = call;
    const [q, k, v, out] = [call.q.data, call.k.data, call.v.data, call.out.data];
    const qRows = rowsLayout(call.q, heads * headDim);
    const kRows = rowsLayout(call.k, kvHeads * headDim);
    const vRows = rowsLayout(call.v, kvHeads * headDim);
    const outRows = rowsLayout(call.out, heads * headDim);
    const bias = biasOf(call);
    const scores = new Float64Array(keyLength(call));
    const mixed = new Float64Array(headDim);
    for (let t = 0; t < batch * seqLen; t++) {
      const keysAt = Math.floor(t / seqLen) * keyLength(call);
      const [first, end] = seenBy(call, t);
      for (let h = 0; h < heads; h++) {
        const kvHead = Math.floor((h * kvHeads) / heads);
        const qAt = qRows.offset + t * qRows.stride + h * headDim;
        let largest = -Infinity;
        for (let j = first; j < end; j++) {
          const kAt = kRows.offset + (keysAt + j) * kRows.stride + kvHead * headDim;
          scores[j] = scale * dot(q, qAt, k, kAt, headDim) + (bias?.value(t, h, j) ?? 0);
          largest = Math.max(largest, scores[j]!);
        }
        let total = 0;
        mixed.fill(0);
        for (let j = first; j < end; j++) {
          const weight = Math.exp(scores[j]! - largest);
          const vAt = vRows.offset + (keysAt + j) * vRows.stride + kvHead * headDim;
          total += weight;
          for (let d = 0; d < headDim; d++) mixed[d]! += weight * v[vAt + d]!;
        }
        const outAt = outRows.offset + t * outRows.stride + h * headDim;
        for (let d = 0; d < headDim; d++) out[outAt + d] = total > 0 ? mixed[d]! / total : total;
        lse_TH[t * heads + h] = largest + Math.log(total);
      }
    }
  },
};

function checkBiasSum(call: OnHost<AttentionBackwardCall>, check: ArgumentCheck, tokens: number): void {
  const { bias, biasSum, grainStarts, seqLen } = call;
  if (biasSum === undefined) return;
  if (bias === undefined) check.fail('biasSum', 'given', 'nothing, since there is no bias');
  check.target('biasSum', biasSum, biasLength(call));
  if (grainStarts === undefined)
    check.fail('grainStarts', 'undefined', 'an Int32Array, since biasSum is given');
  check.starts('grainStarts', grainStarts, tokens);
  for (const [grain, start] of grainStarts.entries())
    if (seqLen > 0 && start % seqLen !== 0)
      rangeError(call.op, `grainStarts (between sequences of ${seqLen})`, grain, start, tokens + 1);
}

/**
 * dP_tj = ⟨dOut_t, v_j⟩; dS_tj = p_tj·(dP_tj - ⟨dOut_t, out_t⟩); dq_t = scale·Σ dS_tj·k_j; dk_j = scale·Σ dS_tj·q_t; dv_j = Σ p_tj·dOut_t.
 *
 * @see Dao et al. 2022, arXiv:2205.14135, algorithm 4
 */
export const attentionBackward: Kernel<AttentionBackwardCall> = {
  check(call, check) {
    const { tokens, keys, queryWidth, keyWidth } = checkAttention(call, check);
    check.rows('dOut', call.dOut, tokens, queryWidth);
    check.rows('dq', call.dq, tokens, queryWidth);
    check.rows('dk', call.dk, keys, keyWidth);
    check.rows('dv', call.dv, keys, keyWidth);
    checkBiasSum(call, check, tokens);
  },
  run(call) {
    checkSeen(call);
    if (call.biasSum === undefined) return allSequences(call, null);
    intoTarget(call.biasSum, 0, biasLength(call), (sum) => allSequences(call, sum));
  },
};

/** Gradients of every sequence; those of the bias are a leaf a grain. */
function allSequences(call: OnHost<AttentionBackwardCall>, biasSum: ExactSum | null): void {
  const { batch, seqLen, heads, kvHeads, headDim, grainStarts = [] } = call;
  const keyLen = keyLength(call);
  const [bias, leaf] = [biasOf(call), new Float64Array(biasLength(call))];
  const dkRows = rowsLayout(call.dk, kvHeads * headDim);
  const dvRows = rowsLayout(call.dv, kvHeads * headDim);
  let grain = 0;
  for (let b = 0; b < batch; b++) {
    for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
      const dk = new Float64Array(keyLen * headDim);
      const dv = new Float64Array(keyLen * headDim);
      for (let h = 0; h < heads; h++) {
        if (Math.floor((h * kvHeads) / heads) === kvHead) headBackward(call, b, h, { dk, dv, bias, leaf });
      }
      for (let j = 0; j < keyLen; j++) {
        const row = b * keyLen + j;
        for (let d = 0; d < headDim; d++) {
          call.dk.data[dkRows.offset + row * dkRows.stride + kvHead * headDim + d] = dk[j * headDim + d]!;
          call.dv.data[dvRows.offset + row * dvRows.stride + kvHead * headDim + d] = dv[j * headDim + d]!;
        }
      }
    }
    if (biasSum === null) continue;
    for (; grain + 1 < grainStarts.length && grainStarts[grain + 1]! <= (b + 1) * seqLen; grain++) {
      addLeaves(biasSum, 0, leaf, leaf.length);
      leaf.fill(0);
    }
  }
}

/** What the heads of a sequence add to. */
interface HeadSums {
  /** [keyLen, headDim] each, of a key/value head. */
  readonly dk: Float64Array;
  readonly dv: Float64Array;
  readonly bias: PairBias | null;
  /** [buckets, heads]. */
  readonly leaf: Float64Array;
}

/** One query head of one sequence: writes dq, adds to the sums. */
function headBackward(
  call: OnHost<AttentionBackwardCall>,
  b: number,
  h: number,
  { dk, dv, bias, leaf }: HeadSums,
): void {
  const { seqLen, heads, kvHeads, headDim, scale, lse_TH } = call;
  const keysAt = b * keyLength(call);
  const kvHead = Math.floor((h * kvHeads) / heads);
  const [q, k, v, out, dOut] = [call.q.data, call.k.data, call.v.data, call.out.data, call.dOut.data];
  const qRows = rowsLayout(call.q, heads * headDim);
  const kRows = rowsLayout(call.k, kvHeads * headDim);
  const vRows = rowsLayout(call.v, kvHeads * headDim);
  const outRows = rowsLayout(call.out, heads * headDim);
  const dOutRows = rowsLayout(call.dOut, heads * headDim);
  const dqRows = rowsLayout(call.dq, heads * headDim);
  const dq = new Float64Array(headDim);
  for (let i = 0; i < seqLen; i++) {
    const row = b * seqLen + i;
    const qAt = qRows.offset + row * qRows.stride + h * headDim;
    const dOutAt = dOutRows.offset + row * dOutRows.stride + h * headDim;
    const outAt = outRows.offset + row * outRows.stride + h * headDim;
    const dqAt = dqRows.offset + row * dqRows.stride + h * headDim;
    const meeting = dot(dOut, dOutAt, out, outAt, headDim);
    dq.fill(0);
    const [first, end] = seenBy(call, row);
    for (let j = first; j < end; j++) {
      const kAt = kRows.offset + (keysAt + j) * kRows.stride + kvHead * headDim;
      const vAt = vRows.offset + (keysAt + j) * vRows.stride + kvHead * headDim;
      const score = scale * dot(q, qAt, k, kAt, headDim) + (bias?.value(row, h, j) ?? 0);
      const weight = Math.exp(score - lse_TH[row * heads + h]!);
      const dBiased = weight * (dot(dOut, dOutAt, v, vAt, headDim) - meeting);
      if (bias !== null) leaf[bias.place(row, h, j)]! += dBiased;
      const dScore = scale * dBiased;
      for (let d = 0; d < headDim; d++) {
        dq[d]! += dScore * k[kAt + d]!;
        dk[j * headDim + d]! += dScore * q[qAt + d]!;
        dv[j * headDim + d]! += weight * dOut[dOutAt + d]!;
      }
    }
    for (let d = 0; d < headDim; d++) call.dq.data[dqAt + d] = dq[d]!;
  }
}
