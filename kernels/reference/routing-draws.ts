import { philox4x32 } from '@troupe/core';
import type { OnHost, RoutingDraws } from '@troupe/kernel-set';
import type { ArgumentCheck } from './argument-check.ts';

/** What every call that draws has. */
export function checkDraws(draws: OnHost<RoutingDraws>, check: ArgumentCheck): void {
  const { key, step, firstSequence, seqLen } = draws;
  if (!Array.isArray(key) || key.length !== 2) check.fail('key', 'no pair', 'two 32-bit numbers');
  check.sizes({ step, firstSequence });
  check.size('seqLen', seqLen, 1);
}

/** The words of a call's rows: `of(row, i)` is word `(position of the row)·perRow + i` of its sequence. */
export class RoutingWords {
  readonly #draws: OnHost<RoutingDraws>;
  readonly #perRow: number;
  #at = { sequence: -1, block: -1 };
  #words: readonly number[] = [];

  constructor(draws: OnHost<RoutingDraws>, perRow: number) {
    this.#draws = draws;
    this.#perRow = perRow;
  }

  of(row: number, i: number): number {
    const { key, step, firstSequence, seqLen } = this.#draws;
    const sequence = firstSequence + Math.floor(row / seqLen);
    const index = (row % seqLen) * this.#perRow + i;
    const block = Math.floor(index / 4);
    if (sequence !== this.#at.sequence || block !== this.#at.block) {
      this.#words = philox4x32([block >>> 0, step >>> 0, 0, sequence >>> 0], key);
      this.#at = { sequence, block };
    }
    return this.#words[index % 4]!;
  }
}
