import type {
  AttentionBackwardCall,
  AttentionCall as DeviceAttentionCall,
  AttentionForwardCall,
  OnHost,
} from '@troupe/kernel-set';
import type { Floats } from '../on-host.ts';
import { KernelRangeError } from '../errors.ts';
import { rowsLayout, type ArgumentCheck } from './argument-check.ts';
import type { Kernel } from './kernel.ts';

type AttentionCall = OnHost<DeviceAttentionCall>;

/** Rows of keys and values a sequence. */
export const keyLength = ({ seqLen, keyLen }: Pick<AttentionCall, 'seqLen' | 'keyLen'>): number =>
  keyLen ?? seqLen;

/** The first key that row `t` sees, and one past the last: none where the second is not larger. */
export const seenBy = (
  { seqLen, firstSeen_T, endSeen_T }: Pick<AttentionCall, 'seqLen' | 'firstSeen_T' | 'endSeen_T'>,
  t: number,
): readonly [number, number] => [firstSeen_T?.[t] ?? 0, endSeen_T?.[t] ?? (t % seqLen) + 1];

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
  return { tokens, keys, queryWidth, keyWidth };
}

/**
 * A causal row sees itself at least; of what others see, only keys that are there.
 *
 * @throws {KernelRangeError} TROUPE_KERNEL_RANGE
 */
export function checkSeen(call: AttentionCall): void {
  const { op, batch, seqLen, firstSeen_T, endSeen_T } = call;
  const keyLen = keyLength(call);
  const fail = (name: string, t: number, found: number, most: string): never => {
    throw new KernelRangeError(`${op}: ${name}[${t}] is ${found}, expected 0 … ${most}`);
  };
  for (let t = 0; t < batch * seqLen; t++) {
    const [first, end] = seenBy(call, t);
    const own = t % seqLen;
    if (endSeen_T === undefined) {
      if (first < 0 || first > own) fail('firstSeen_T', t, first, `${own}, the row's own position`);
      continue;
    }
    if (end < 0 || end > keyLen) fail('endSeen_T', t, end, `${keyLen}, the rows of keys`);
    if (firstSeen_T !== undefined && (first < 0 || first > keyLen))
      fail('firstSeen_T', t, first, `${keyLen}, the rows of keys`);
  }
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
          scores[j] = scale * dot(q, qAt, k, kAt, headDim);
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
  },
  run(call) {
    checkSeen(call);
    const { batch, heads, kvHeads, headDim } = call;
    const keyLen = keyLength(call);
    for (let b = 0; b < batch; b++) {
      for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
        const dk = new Float64Array(keyLen * headDim);
        const dv = new Float64Array(keyLen * headDim);
        for (let h = 0; h < heads; h++) {
          if (Math.floor((h * kvHeads) / heads) === kvHead) headBackward(call, b, kvHead, h, dk, dv);
        }
        const dkRows = rowsLayout(call.dk, kvHeads * headDim);
        const dvRows = rowsLayout(call.dv, kvHeads * headDim);
        for (let j = 0; j < keyLen; j++) {
          const row = b * keyLen + j;
          for (let d = 0; d < headDim; d++) {
            call.dk.data[dkRows.offset + row * dkRows.stride + kvHead * headDim + d] = dk[j * headDim + d]!;
            call.dv.data[dvRows.offset + row * dvRows.stride + kvHead * headDim + d] = dv[j * headDim + d]!;
          }
        }
      }
    }
  },
};

/** One query head of one sequence: writes dq, adds to dk and dv of the sequence, [keyLen, headDim] each. */
function headBackward(
  call: OnHost<AttentionBackwardCall>,
  b: number,
  kvHead: number,
  h: number,
  dk: Float64Array,
  dv: Float64Array,
): void {
  const { seqLen, heads, kvHeads, headDim, scale, lse_TH } = call;
  const keysAt = b * keyLength(call);
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
