import test from 'ava';
import * as fc from 'fast-check';
import { moeLayers } from '@troupe/spec';
import { resolveTopology } from '../resolve.ts';
import { elementsTo, movesFrom } from './expert-moves.ts';
import { ExpertSeats } from './expert-seats.ts';
import { Layout, type ShardPlace } from './layout.ts';

interface Shape {
  readonly pp: number;
  readonly dp: number;
  readonly tp: number;
  readonly ep: number;
  readonly zero: 0 | 1 | 2 | 3;
  readonly expertsSliced: boolean;
}

const layoutOf = ({ pp, dp, tp, ep, zero, expertsSliced }: Shape): Layout =>
  new Layout(
    resolveTopology({
      model: { layers: 4, dModel: 16, heads: 2, vocab: 32, seqLen: 8, ffn: { dFf: 32 }, moe: { experts: 6 } },
      parallel: { pp, dp, tp, ep, zero, expertsSliced, experts: 'balanced' },
      data: { synthetic: 'zipf' },
      train: { batch: dp, grains: dp },
      machines: [{ devices: Array.from({ length: pp * dp * tp }, (_, index) => `cpu:${index}`) }],
    }),
  );

const shapes = fc.record({
  pp: fc.constantFrom(1, 2),
  dp: fc.constantFrom(2, 4, 6),
  tp: fc.constantFrom(1, 2),
  ep: fc.constantFrom(2, 3, 6),
  zero: fc.constantFrom<0 | 1 | 2 | 3>(0, 1, 2, 3),
  expertsSliced: fc.boolean(),
});

/** Experts dealt by chance, groups of equal size. */
function seatsBy(layout: Layout, keys: readonly number[]): ExpertSeats {
  const ep = layout.experts.numGroups;
  const rows = moeLayers(layout.model).flatMap((_, layer) => {
    const order = [0, 1, 2, 3, 4, 5].toSorted((a, b) => keys[layer * 6 + a]! - keys[layer * 6 + b]! || a - b);
    const groups: number[] = [];
    for (const [at, expert] of order.entries()) groups[expert] = Math.floor((at * ep) / 6);
    return groups;
  });
  return new ExpertSeats(layout, Int32Array.from(rows));
}

const shardsOf = (layout: Layout): readonly ShardPlace[] =>
  [...layout.workers()].map((worker) => ({ worker, group: layout.groupOf(worker, 'expert') }));

/** What lies at every element that a shard owns: the name of what has the seat, and which element of it. */
function contentOf({ group, worker }: ShardPlace, seats: ExpertSeats): Map<number, string> {
  const { from, to } = seats.layout.ownedBy(group, worker);
  const found = new Map<number, string>();
  const { units, starts, length } = group.flat;
  for (const [index, unit] of units.entries()) {
    const start = starts[index] ?? 0;
    const { id } = seats.unitAt(unit);
    for (let at = Math.max(from, start); at < Math.min(to, starts[index + 1] ?? length); at++)
      found.set(at, `${id}[${at - start}]`);
  }
  return found;
}

const keys = fc.array(fc.nat(), { minLength: 24, maxLength: 24 });

test('MOV-1: what shards send is what others have afterwards, and as much as each expects', (t) => {
  fc.assert(
    fc.property(shapes, keys, keys, (shape, first, second) => {
      if (shape.dp % shape.ep !== 0) return;
      const layout = layoutOf(shape);
      const [before, after] = [seatsBy(layout, first), seatsBy(layout, second)];
      const shards = shardsOf(layout);
      const nameOf = (shard: ShardPlace): string => layout.shardOf(shard.group, shard.worker);
      const content = new Map(shards.map((shard) => [nameOf(shard), contentOf(shard, before)]));
      const come = new Map(shards.map((shard) => [nameOf(shard), new Map<number, string>()]));
      for (const shard of shards)
        for (const { to, range, at } of movesFrom(shard, before, after)) {
          const there = come.get(nameOf(to))!;
          for (let from = range.from; from < range.to; from++) {
            t.false(there.has(at + from - range.from), 'once');
            there.set(at + from - range.from, content.get(nameOf(shard))!.get(from)!);
          }
        }
      for (const shard of shards) {
        const parts = come.get(nameOf(shard))!;
        if (parts.size !== elementsTo(shard, before, after)) t.fail(nameOf(shard));
        const held = new Map([...content.get(nameOf(shard))!, ...parts]);
        const wanted = contentOf(shard, after);
        if (![...wanted].every(([at, text]) => held.get(at) === text)) t.fail(nameOf(shard));
      }
      t.pass();
    }),
    { numRuns: 25 },
  );
});

test('MAP-2: in each group experts sit in rising order; the layout itself says nothing of a move', (t) => {
  const layout = layoutOf({ pp: 1, dp: 2, tp: 1, ep: 2, zero: 1, expertsSliced: true });
  const first = new ExpertSeats(layout);
  t.deepEqual(first.expertsOf(0, 1), [3, 4, 5]);
  t.is(first.rankOf_E(0), layout.rankOf_E(0));
  const moved = first.groups_LE.slice();
  moved.set([1, 0, 0, 1, 0, 1]);
  const seats = new ExpertSeats(layout, moved);
  t.deepEqual(seats.expertsOf(0, 0), [1, 2, 4]);
  t.deepEqual([seats.expertAt(0, 0), seats.seatOf(0, 0)], [1, 3]);
  t.is(seats.rankOf_E(0), seats.rankOf_E(0), 'one array as long as the seats are');
  t.is(seats.rankOf_E(1), layout.rankOf_E(1), 'other layers stay');
  t.deepEqual(layout.expertsOf(0, layout.at([...layout.workers()][0]!).ep), [0, 1, 2]);
  t.true(seats.equals(moved.slice()));
  t.false(seats.equals(first.groups_LE));
  moved[0] = 0;
  t.throws(() => new ExpertSeats(layout, moved), { message: /sizes of groups/u });
});
