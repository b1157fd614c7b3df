import { hashName } from '@troupe/core';

/** MurmurHash3's last step: every bit of the input reaches every bit of the result. */
function mix(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/**
 * Whether a document belongs to the held-out split: decided by its text alone.
 *
 * So membership changes neither with order, nor with other documents, nor with the seed, and copies of a document
 * are never on both sides. A larger share keeps all members of a smaller one.
 *
 * @param share - expected share of documents held out, 0 ≤ share < 1
 */
export const isHeldOut = (text: string, share: number): boolean => mix(hashName(text)) / 0x100000000 < share;
