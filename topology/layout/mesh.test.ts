import test from 'ava';
import * as fc from 'fast-check';
import { Mesh, type Axis, type ExpertOrder, type MeshShape } from './mesh.ts';

const pairs = (n: number): number[][] => Array.from({ length: n / 2 }, (_, i) => [2 * i, 2 * i + 1]);
const every = (step: number, from: number, to: number): number[] =>
  Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => from + i * step);

/** All groups of an axis, each in its own order, by their first rank within a plane of pipeline and tensor coordinates. */
function groupsOf(mesh: Mesh, axis: Axis): readonly (readonly number[])[] {
  const ranks = every(1, 0, mesh.world).filter((rank) => mesh.peers(axis, rank).at(0) === rank);
  const plane = (rank: number): number => {
    const { pp, tp } = mesh.coordinates(rank);
    return axis === 'tp' || axis === 'pp' ? 0 : pp * mesh.tp + tp;
  };
  return ranks.toSorted((a, b) => plane(a) - plane(b) || a - b).map((rank) => [...mesh.peers(axis, rank)]);
}

test('Mesh: world 16, ep 2 gives neighbouring EP and strided EDP groups', (t) => {
  const mesh = new Mesh({ pp: 1, dp: 16, tp: 1, ep: 2 });
  t.deepEqual(groupsOf(mesh, 'ep'), pairs(16));
  t.deepEqual(groupsOf(mesh, 'edp'), [every(2, 0, 16), every(2, 1, 16)]);
  t.deepEqual(groupsOf(mesh, 'dp'), [every(1, 0, 16)]);
});

test('Mesh: world 16, tp 2, ep 4 gives the published groups', (t) => {
  const mesh = new Mesh({ pp: 1, dp: 8, tp: 2, ep: 4 });
  t.deepEqual(groupsOf(mesh, 'tp'), pairs(16));
  t.deepEqual(groupsOf(mesh, 'dp'), [every(2, 0, 16), every(2, 1, 16)]);
  t.deepEqual(groupsOf(mesh, 'ep'), [
    [0, 2, 4, 6],
    [8, 10, 12, 14],
    [1, 3, 5, 7],
    [9, 11, 13, 15],
  ]);
  t.deepEqual(groupsOf(mesh, 'edp'), [
    [0, 8],
    [2, 10],
    [4, 12],
    [6, 14],
    [1, 9],
    [3, 11],
    [5, 13],
    [7, 15],
  ]);
});

test('Mesh: rank order edp-inner swaps EP and EDP', (t) => {
  const mesh = new Mesh({ pp: 1, dp: 16, tp: 1, ep: 8, rankOrder: 'edp-inner' });
  t.deepEqual(groupsOf(mesh, 'edp'), pairs(16));
  t.deepEqual(groupsOf(mesh, 'ep'), [every(2, 0, 16), every(2, 1, 16)]);
});

const shapes = fc
  .record({
    pp: fc.integer({ min: 1, max: 4 }),
    ep: fc.integer({ min: 1, max: 6 }),
    edp: fc.integer({ min: 1, max: 5 }),
    tp: fc.integer({ min: 1, max: 4 }),
  })
  .map(({ pp, ep, edp, tp }): MeshShape => ({ pp, dp: ep * edp, tp, ep }));
const orders = fc.constantFrom<ExpertOrder>('ep-inner', 'edp-inner');

test('Mesh: every kind of group splits the world without rest', (t) => {
  fc.assert(
    fc.property(shapes, orders, (shape, order) => {
      const mesh = new Mesh({ ...shape, rankOrder: order });
      const sizes = { tp: mesh.tp, dp: mesh.dp, pp: mesh.pp, ep: mesh.ep, edp: mesh.edp };
      for (const [kind, size] of Object.entries(sizes) as [keyof typeof sizes, number][]) {
        const groups = groupsOf(mesh, kind);
        t.true(groups.every((group) => group.length === size));
        t.deepEqual(
          groups.flat().toSorted((a, b) => a - b),
          every(1, 0, mesh.world),
        );
      }
    }),
  );
});

test('Mesh: coordinates and ranks are inverse, and groups share all coordinates but their own', (t) => {
  fc.assert(
    fc.property(shapes, orders, (shape, order) => {
      const mesh = new Mesh({ ...shape, rankOrder: order });
      for (let rank = 0; rank < mesh.world; rank++) {
        const at = mesh.coordinates(rank);
        t.is(Number(mesh.rankOf(at)), rank);
        t.is(mesh.dpOf(at.ep, at.edp), at.dp);
      }
      for (const [kind, same] of [
        ['ep', 'edp'],
        ['edp', 'ep'],
      ] as const) {
        for (const group of groupsOf(mesh, kind)) {
          const places = group.map((rank) => mesh.coordinates(rank));
          t.is(new Set(places.map((at) => `${at.pp} ${at.tp} ${at[same]}`)).size, 1);
          t.deepEqual(
            places.map((at) => at[kind]),
            every(1, 0, group.length),
          );
        }
      }
    }),
  );
});

test('Mesh: refuses axes that are not positive whole numbers and ranks outside the world', (t) => {
  t.throws(() => new Mesh({ pp: 0, dp: 2, tp: 1, ep: 1 }), { code: 'TROUPE_INVARIANT' });
  t.throws(() => new Mesh({ pp: 1, dp: 4, tp: 1, ep: 3 }), { code: 'TROUPE_INVARIANT' });
  t.throws(() => new Mesh({ pp: 1, dp: 2, tp: 1, ep: 1 }).coordinates(2), { code: 'TROUPE_INVARIANT' });
});
