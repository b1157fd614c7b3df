import { assert } from '@troupe/core';
import type { ElementRange } from '@troupe/spec';
import type { ExpertSeats } from './expert-seats.ts';
import type { Layout, ShardPlace } from './layout.ts';
import type { ParameterGroup } from './parameter-group.ts';
import { expertGroupId, stageIndex, type ExpertGroupId, type WorkerRank } from './rank.ts';

/** A part of a shard's state that belongs elsewhere once experts have moved. */
export interface ExpertMove {
  readonly to: ShardPlace;
  /** Where it lies in the buffer of the group that it leaves. */
  readonly range: ElementRange;
  /** Where it begins in that of the group that it comes to. */
  readonly at: number;
}

/** An expert, or a segment of one, on its way into a group. */
interface Run {
  readonly source: ExpertGroupId;
  /** Where it begins in the buffer of that group, and in that of the group that it comes to. */
  readonly from: number;
  readonly at: number;
  readonly length: number;
}

function intersect(a: ElementRange, b: ElementRange): ElementRange | null {
  const [from, to] = [Math.max(a.from, b.from), Math.min(a.to, b.to)];
  return from < to ? { from, to } : null;
}

/** Seats of a group that others come to. Groups of a stage are equal in form, so that a seat lies at the same place in each. */
function* runsInto(group: ParameterGroup, before: ExpertSeats, after: ExpertSeats): Generator<Run> {
  const { units, starts, length } = group.flat;
  for (const [index, { layer, expert: seat }] of units.entries()) {
    if (layer === null || seat === null) continue;
    const left = before.seatOf(layer, after.expertAt(layer, seat));
    if (left === seat) continue;
    const map = before.layout.expertMap(layer);
    const placeOf = (each: number): number => map.expertsOf(map.groupOf(each)).indexOf(each);
    const [at, end] = [starts[index] ?? 0, starts[index + 1] ?? length];
    const from = starts[index - placeOf(seat) + placeOf(left)];
    assert(from !== undefined, 'groups of a stage are equal in form', { layer, seat });
    yield { source: map.groupOf(left), from, at, length: end - at };
  }
}

/** The worker that stands in another expert group where `worker` stands in its own. */
function peerIn(layout: Layout, worker: WorkerRank, ep: ExpertGroupId): WorkerRank {
  const place = layout.expertPlaceOf(worker);
  assert(place !== null, 'experts move between workers that have some', { worker });
  const { pp, tp } = layout.hasStage(worker) ? layout.at(worker) : { pp: stageIndex(0), tp: 0 };
  return layout.experts.workerOf({ ep, edp: place.edp, tp }, pp);
}

/** What a shard of experts sends, itself among the receivers: also an expert that stays in its group may get another seat there. */
export function movesFrom(shard: ShardPlace, before: ExpertSeats, after: ExpertSeats): readonly ExpertMove[] {
  const { layout } = before;
  const own = layout.ownedBy(shard.group, shard.worker);
  const source = layout.expertPlaceOf(shard.worker)?.ep;
  const moves: ExpertMove[] = [];
  for (let ep = 0; ep < layout.experts.numGroups; ep++) {
    const peer = peerIn(layout, shard.worker, expertGroupId(ep));
    const group = layout.groupOf(peer, shard.group.name);
    // Every holder has a twin in each other group, which has the same of it.
    const holders = layout.zero === 0 ? [{ worker: peer, part: own }] : group.slices;
    for (const run of runsInto(group, before, after)) {
      const leaves =
        run.source === source ? intersect(own, { from: run.from, to: run.from + run.length }) : null;
      if (leaves === null) continue;
      const shift = run.at - run.from;
      for (const { worker, part } of holders) {
        const comes = intersect(part, { from: leaves.from + shift, to: leaves.to + shift });
        if (comes === null) continue;
        const range = { from: comes.from - shift, to: comes.to - shift };
        moves.push({ to: { group, worker }, range, at: comes.from });
      }
    }
  }
  return moves;
}

/** Elements that come to a shard of experts. */
export function elementsTo(shard: ShardPlace, before: ExpertSeats, after: ExpertSeats): number {
  const own = before.layout.ownedBy(shard.group, shard.worker);
  let sum = 0;
  for (const { at, length } of runsInto(shard.group, before, after)) {
    const part = intersect(own, { from: at, to: at + length });
    sum += part === null ? 0 : part.to - part.from;
  }
  return sum;
}
