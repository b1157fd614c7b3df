import { Heap } from './heap.ts';

/** Above this many symbols a heap beats looking at every pair for each merge. */
const SHORT = 40;

/** Which neighbouring tokens join, in which order of priority, into what. */
export class MergeTable {
  private readonly vocabSize: number;
  /** Pair a·vocabSize + b → rank (0 first). */
  private readonly ranks = new Map<number, number>();
  private readonly merged: number[] = [];

  constructor(vocabSize: number) {
    this.vocabSize = vocabSize;
  }

  /** Adds the merge of the next lower priority; false when the pair has one already. */
  add(left: number, right: number, result: number): boolean {
    const pair = left * this.vocabSize + right;
    if (this.ranks.has(pair)) return false;
    this.ranks.set(pair, this.merged.length);
    this.merged.push(result);
    return true;
  }

  private rank(left: number, right: number): number {
    return this.ranks.get(left * this.vocabSize + right) ?? Infinity;
  }

  /** Joins pairs, lowest rank first, the leftmost among equals, until none is left. May change and return `symbols`. */
  apply(symbols: number[]): number[] {
    if (this.merged.length === 0) return symbols;
    return symbols.length <= SHORT ? this.applyShort(symbols) : this.applyLong(symbols);
  }

  private applyShort(symbols: number[]): number[] {
    for (;;) {
      let best = Infinity;
      let at = -1;
      for (let i = 0; i + 1 < symbols.length; i++) {
        const rank = this.rank(symbols[i] ?? 0, symbols[i + 1] ?? 0);
        if (rank < best) {
          best = rank;
          at = i;
        }
      }
      if (at < 0) return symbols;
      symbols[at] = this.merged[best] ?? 0;
      symbols.splice(at + 1, 1);
    }
  }

  /** The same result in O(n log n): a linked list of symbols and a heap of candidate pairs by (rank, position). */
  private applyLong(symbols: number[]): number[] {
    const numSymbols = symbols.length;
    const next = Int32Array.from(symbols, (_, i) => (i + 1 < numSymbols ? i + 1 : -1));
    const previous = Int32Array.from(symbols, (_, i) => i - 1);
    const heap = new Heap<readonly [rank: number, at: number]>(
      (a, b) => a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]),
    );
    const rankAt = (at: number): number => {
      const right = next[at] ?? -1;
      return right < 0 ? Infinity : this.rank(symbols[at] ?? 0, symbols[right] ?? 0);
    };
    const offer = (at: number): void => {
      const rank = at < 0 ? Infinity : rankAt(at);
      if (rank !== Infinity) heap.push([rank, at]);
    };
    for (let i = 0; i < numSymbols; i++) offer(i);
    for (let top = heap.pop(); top !== undefined; top = heap.pop()) {
      const [rank, at] = top;
      // A candidate is stale when its left symbol was swallowed (-1) or either side has grown since.
      if (symbols[at] === -1 || rankAt(at) !== rank) continue;
      const right = next[at] ?? -1;
      const after = next[right] ?? -1;
      symbols[at] = this.merged[rank] ?? 0;
      symbols[right] = -1;
      next[right] = -1;
      next[at] = after;
      if (after >= 0) previous[after] = at;
      offer(at);
      offer(previous[at] ?? -1);
    }
    return symbols.filter((symbol) => symbol !== -1);
  }
}
