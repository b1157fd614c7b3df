import { assert } from '@troupe/core';
import { dataRank, type DataRank } from './rank.ts';

/** Consecutive things, [from, to). */
interface Span {
  readonly from: number;
  readonly to: number;
}

/** What a replica tells another one of the choice group that both have sequences of. */
export interface ChoicePeer {
  readonly rank: DataRank;
  /** The group, counted over the microbatch of all replicas. */
  readonly group: number;
  /** Positions whose choices the peer makes; may be none. */
  readonly decides: Span;
}

/** A choice group as one of its replicas sees it. */
export interface ChoiceGroupShare {
  readonly group: number;
  /** Parts of this replica's microbatch that belong to it. */
  readonly parts: Span;
  /** Positions whose choices this replica makes for all of the group; may be none. */
  readonly decides: Span;
  readonly peers: readonly ChoicePeer[];
}

const greatestCommonDivisor = (a: number, b: number): number =>
  b === 0 ? a : greatestCommonDivisor(b, a % b);

/**
 * Where choice groups lie: runs of `groupSequences` sequences of the microbatch of all replicas.
 *
 * CHO-1: who decides for a position of a group is a pure function of the layout: the group's replica floor(q·R / S), of R that have sequences of it and S
 * positions. CHO-2: a part is a run of sequences of one replica and one group, all parts of all replicas being equally long, so that every kernel call
 * is of whole parts. CHO-3: two replicas have at most one group in common, since their sequences are two runs.
 */
export class ChoiceGroups {
  readonly groupSequences: number;
  readonly partSequences: number;
  /** No group has sequences of two replicas. */
  readonly areLocal: boolean;
  readonly #sequences: number;
  readonly #seqLen: number;

  constructor(groupSequences: number, of: { readonly microbatchSequences: number; readonly seqLen: number }) {
    assert(groupSequences >= 1, 'a choice group has sequences', { groupSequences });
    this.groupSequences = groupSequences;
    this.#sequences = of.microbatchSequences;
    this.#seqLen = of.seqLen;
    this.partSequences = greatestCommonDivisor(groupSequences, this.#sequences);
    this.areLocal = this.#sequences % groupSequences === 0;
  }

  /** Index of a replica's first sequence in the microbatch of all. */
  firstSequence(rank: DataRank): number {
    return rank * this.#sequences;
  }

  /** The groups that a replica has sequences of. */
  sharesOf(rank: DataRank): readonly ChoiceGroupShare[] {
    const [n, first, end] = [
      this.groupSequences,
      this.firstSequence(rank),
      this.firstSequence(rank) + this.#sequences,
    ];
    const groups = { from: Math.floor(first / n), to: Math.ceil(end / n) };
    return Array.from({ length: groups.to - groups.from }, (_, index) => {
      const group = groups.from + index;
      const from = (Math.max(first, group * n) - first) / this.partSequences;
      const to = (Math.min(end, (group + 1) * n) - first) / this.partSequences;
      const ranks = this.#ranksOf(group);
      const peers = Array.from({ length: ranks.to - ranks.from }, (_each, place) =>
        dataRank(ranks.from + place),
      )
        .filter((each) => each !== rank)
        .map((each) => ({ rank: each, group, decides: this.#decidedBy(each, group) }));
      return { group, parts: { from, to }, decides: this.#decidedBy(rank, group), peers };
    });
  }

  #ranksOf(group: number): Span {
    const n = this.groupSequences;
    return {
      from: Math.floor((group * n) / this.#sequences),
      to: Math.ceil(((group + 1) * n) / this.#sequences),
    };
  }

  #decidedBy(rank: DataRank, group: number): Span {
    const ranks = this.#ranksOf(group);
    const [place, count] = [rank - ranks.from, ranks.to - ranks.from];
    const bound = (at: number): number => Math.ceil((at * this.#seqLen) / count);
    return { from: bound(place), to: bound(place + 1) };
  }
}
