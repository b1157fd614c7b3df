import { expertTake } from '@troupe/spec';
import type { Layout } from '../layout/layout.ts';
import { dataRank, type DataRank } from '../layout/rank.ts';
import type { ResolvedTopology } from '../resolved.ts';

/** A key, or a threshold. */
const KEY_BYTES = 8;
/** A count of valid tokens. */
const COUNT_BYTES = 4;

/** What a gate sends another one in a step where their replicas have sequences of one choice group: candidates there, thresholds back. */
export interface ChoiceBytes {
  readonly peer: DataRank;
  readonly bytes: number;
}

/** Of one layer; empty where every group lies on one replica, or tokens choose. */
export function choiceBytes(
  { model: { moe }, train }: ResolvedTopology,
  layout: Layout,
  rank: DataRank,
): readonly ChoiceBytes[] {
  const groups = layout.choiceGroups;
  if (moe === null || groups === null || groups.areLocal) return [];
  const candidates = moe.experts * Math.min(expertTake(moe), groups.partSequences) * KEY_BYTES + COUNT_BYTES;
  return groups.sharesOf(rank).flatMap(({ parts, decides, peers }) =>
    peers.map((peer) => {
      const asked = (parts.to - parts.from) * (peer.decides.to - peer.decides.from) * candidates;
      const answered = (decides.to - decides.from) * moe.experts * KEY_BYTES;
      return { peer: peer.rank, bytes: train.microbatches * (asked + answered) };
    }),
  );
}

/** The mean over replicas of what the gate of a layer sends in a step. */
export function meanChoiceBytes(topology: ResolvedTopology, layout: Layout): number {
  const { dp } = topology.parallel;
  let sum = 0;
  if (layout.choiceGroups?.areLocal === false)
    for (let rank = 0; rank < dp; rank++)
      for (const { bytes } of choiceBytes(topology, layout, dataRank(rank))) sum += bytes;
  return sum / dp;
}
