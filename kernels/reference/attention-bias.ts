import { bucketOf, bucketsMistake, type AttentionCall, type OnHost } from '@troupe/kernel-set';
import type { ArgumentCheck } from './argument-check.ts';
import { seenBy } from './attention-view.ts';

type Call = OnHost<AttentionCall>;

/** A table of biases, and which element of it each pair has. */
export interface PairBias {
  /** Index into [buckets, heads]. */
  readonly place: (t: number, head: number, key: number) => number;
  readonly value: (t: number, head: number, key: number) => number;
}

export const biasLength = ({ bias, heads }: Call): number => (bias === undefined ? 0 : bias.buckets * heads);

export function checkBias(call: Call, check: ArgumentCheck): void {
  const { bias } = call;
  if (bias === undefined) return;
  if (bias === null || typeof bias !== 'object')
    check.fail('bias', typeof bias, 'an object { table_BH, buckets, bidirectional, maxDistance }');
  const mistake = bucketsMistake(bias);
  if (mistake !== null) {
    const [found, expected] = mistake.split(', expected ');
    check.fail('bias', found ?? mistake, expected ?? 'buckets');
  }
  check.floats('bias.table_BH', bias.table_BH, biasLength(call));
}

/** Null: the call has none. */
export function biasOf(call: Call): PairBias | null {
  const { bias, seqLen, heads } = call;
  if (bias === undefined) return null;
  const { table_BH, bidirectional } = bias;
  const bucket = bucketOf(bias);
  const place = (t: number, head: number, key: number): number =>
    bucket(key - (bidirectional ? t % seqLen : seenBy(call, t)[1] - 1)) * heads + head;
  return { place, value: (t, head, key) => table_BH[place(t, head, key)]! };
}
