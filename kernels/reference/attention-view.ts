/** What rows of attention see. */
import type { AttentionCall as DeviceAttentionCall, OnHost } from '@troupe/kernel-set';
import { KernelRangeError } from '../errors.ts';

type AttentionCall = OnHost<DeviceAttentionCall>;

/** Rows of keys and values a sequence. */
export const keyLength = ({ seqLen, keyLen }: Pick<AttentionCall, 'seqLen' | 'keyLen'>): number =>
  keyLen ?? seqLen;

/** The first key that row `t` sees, and one past the last: none where the second is not larger. */
export const seenBy = (
  { seqLen, firstSeen_T, endSeen_T }: Pick<AttentionCall, 'seqLen' | 'firstSeen_T' | 'endSeen_T'>,
  t: number,
): readonly [number, number] => [firstSeen_T?.[t] ?? 0, endSeen_T?.[t] ?? (t % seqLen) + 1];

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
