import type { AttentionBackwardCall, AttentionForwardCall, OnHost } from '@troupe/kernel-set';
import type { Floats } from '../on-host.ts';
import { KernelRangeError } from '../errors.ts';
import { rowsLayout, type ArgumentCheck } from './argument-check.ts';
import type { Kernel } from './kernel.ts';

type AttentionCall = OnHost<AttentionForwardCall> | OnHost<AttentionBackwardCall>;

function checkAttention(
  call: AttentionCall,
  check: ArgumentCheck,
): { tokens: number; queryLength: number; keyLength: number } {
  const { batch, seqLen, heads, kvHeads, headDim } = call;
  check.sizes({ batch, seqLen });
  check.size('heads', heads, 1);
  check.size('kvHeads', kvHeads, 1);
  check.size('headDim', headDim, 1);
  check.number('scale', call.scale);
  const tokens = batch * seqLen;
  const queryLength = heads * headDim;
  const keyLength = kvHeads * headDim;
  check.rows('q', call.q, tokens, queryLength);
  check.rows('k', call.k, tokens, keyLength);
  check.rows('v', call.v, tokens, keyLength);
  check.rows('out', call.out, tokens, queryLength);
  check.floats('lse_TH', call.lse_TH, tokens * heads);
  if (call.firstSeen_T !== undefined) check.ints('firstSeen_T', call.firstSeen_T, tokens);
  return { tokens, queryLength, keyLength };
}

/** A row must see itself at least, or its softmax is empty. */
export function checkFirstSeen({ op, batch, seqLen, firstSeen_T }: AttentionCall): void {
  if (firstSeen_T === undefined) return;
  for (let t = 0; t < batch * seqLen; t++) {
    const first = firstSeen_T[t]!;
    const own = t % seqLen;
    if (first < 0 || first > own) {
      throw new KernelRangeError(
        `${op}: firstSeen_T[${t}] is ${first}, expected 0 … ${own}, the row's own position`,
      );
    }
  }
}

function dot(a: Floats, aAt: number, b: Floats, bAt: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += a[aAt + i]! * b[bAt + i]!;
  return sum;
}

/**
 * out_t = Σ_j p_tj·v_j, p_t = softmax over j from firstSeen to t of scale·⟨q_t, k_j⟩; lse = log Σ exp of those scores.
 *
 * @see Vaswani et al. 2017, arXiv:1706.03762, eq. 1; Ainslie et al. 2023, arXiv:2305.13245 (grouped queries)
 */
export const attentionForward: Kernel<AttentionForwardCall> = {
  check(call, check) {
    checkAttention(call, check);
  },
  run(call) {
    checkFirstSeen(call);
    const { batch, seqLen, heads, kvHeads, headDim, scale, firstSeen_T, lse_TH } = call;
    const [q, k, v, out] = [call.q.data, call.k.data, call.v.data, call.out.data];
    const qRows = rowsLayout(call.q, heads * headDim);
    const kRows = rowsLayout(call.k, kvHeads * headDim);
    const vRows = rowsLayout(call.v, kvHeads * headDim);
    const outRows = rowsLayout(call.out, heads * headDim);
    const scores = new Float64Array(seqLen);
    const mixed = new Float64Array(headDim);
    for (let t = 0; t < batch * seqLen; t++) {
      const sequence = Math.floor(t / seqLen) * seqLen;
      const own = t - sequence;
      const first = firstSeen_T?.[t] ?? 0;
      for (let h = 0; h < heads; h++) {
        const kvHead = Math.floor((h * kvHeads) / heads);
        const qAt = qRows.offset + t * qRows.stride + h * headDim;
        let largest = -Infinity;
        for (let j = first; j <= own; j++) {
          const kAt = kRows.offset + (sequence + j) * kRows.stride + kvHead * headDim;
          scores[j] = scale * dot(q, qAt, k, kAt, headDim);
          largest = Math.max(largest, scores[j]!);
        }
        let total = 0;
        mixed.fill(0);
        for (let j = first; j <= own; j++) {
          const weight = Math.exp(scores[j]! - largest);
          const vAt = vRows.offset + (sequence + j) * vRows.stride + kvHead * headDim;
          total += weight;
          for (let d = 0; d < headDim; d++) mixed[d]! += weight * v[vAt + d]!;
        }
        const outAt = outRows.offset + t * outRows.stride + h * headDim;
        for (let d = 0; d < headDim; d++) out[outAt + d] = mixed[d]! / total;
        lse_TH[t * heads + h] = largest + Math.log(total);
      }
    }
  },
};

/**
 * dP_tj = ⟨dOut_t, v_j⟩; dS_tj = p_tj·(dP_tj - ⟨dOut_t, out_t⟩); dq_t = scale·Σ dS_tj·k_j; dk_j = scale·Σ dS_tj·q_t; dv_j = Σ p_tj·dOut_t.
 *
 * @see Dao et al. 2022, arXiv:2205.14135, algorithm 4
 */
export const attentionBackward: Kernel<AttentionBackwardCall> = {
  check(call, check) {
    const { tokens, queryLength, keyLength } = checkAttention(call, check);
    check.rows('dOut', call.dOut, tokens, queryLength);
    check.rows('dq', call.dq, tokens, queryLength);
    check.rows('dk', call.dk, tokens, keyLength);
    check.rows('dv', call.dv, tokens, keyLength);
  },
  run(call) {
    checkFirstSeen(call);
    const { batch, seqLen, heads, kvHeads, headDim } = call;
    for (let b = 0; b < batch; b++) {
      for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
        const dk = new Float64Array(seqLen * headDim);
        const dv = new Float64Array(seqLen * headDim);
        for (let h = 0; h < heads; h++) {
          if (Math.floor((h * kvHeads) / heads) === kvHead) headBackward(call, b, kvHead, h, dk, dv);
        }
        const dkRows = rowsLayout(call.dk, kvHeads * headDim);
        const dvRows = rowsLayout(call.dv, kvHeads * headDim);
        for (let j = 0; j < seqLen; j++) {
          const row = b * seqLen + j;
          for (let d = 0; d < headDim; d++) {
            call.dk.data[dkRows.offset + row * dkRows.stride + kvHead * headDim + d] = dk[j * headDim + d]!;
            call.dv.data[dvRows.offset + row * dvRows.stride + kvHead * headDim + d] = dv[j * headDim + d]!;
          }
        }
      }
    }
  },
};

/** One query head of one sequence: writes dq, adds to dk and dv of the sequence, [S, headDim] each. */
function headBackward(
  call: OnHost<AttentionBackwardCall>,
  b: number,
  kvHead: number,
  h: number,
  dk: Float64Array,
  dv: Float64Array,
): void {
  const { seqLen, heads, kvHeads, headDim, scale, firstSeen_T, lse_TH } = call;
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
    for (let j = firstSeen_T?.[row] ?? 0; j <= i; j++) {
      const kAt = kRows.offset + (b * seqLen + j) * kRows.stride + kvHead * headDim;
      const vAt = vRows.offset + (b * seqLen + j) * vRows.stride + kvHead * headDim;
      const weight = Math.exp(scale * dot(q, qAt, k, kAt, headDim) - lse_TH[row * heads + h]!);
      const dScore = scale * weight * (dot(dOut, dOutAt, v, vAt, headDim) - meeting);
      for (let d = 0; d < headDim; d++) {
        dq[d]! += dScore * k[kAt + d]!;
        dk[j * headDim + d]! += dScore * q[qAt + d]!;
        dv[j * headDim + d]! += weight * dOut[dOutAt + d]!;
      }
    }
    for (let d = 0; d < headDim; d++) call.dq.data[dqAt + d] = dq[d]!;
  }
}
