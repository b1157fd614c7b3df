import test from 'ava';
import { denseUnits, expertUnit, flatLayout } from '@troupe/spec';
import { resolveTopology } from '../resolve.ts';
import { Layout } from './layout.ts';
import { workerRank } from './rank.ts';
import { BUCKET_ROOMS, roomsFor, segmentsOf, WEIGHT_ROOMS } from './segment.ts';

const { model } = resolveTopology({ model: { layers: 3, moe: { experts: 4, every: 2 } } });

test('segments: the embedding, each layer and the tail make up the buffer, each with its own layout', (t) => {
  const flat = flatLayout(denseUnits(model));
  const segments = segmentsOf(flat);
  t.is(segments.length, 5);
  t.is(segments[0]?.from, 0);
  t.is(segments.at(-1)?.to, flat.length);
  segments.forEach((segment, index) => {
    t.is(segment.index, index);
    t.is(segment.to, segments[index + 1]?.from ?? flat.length);
    t.is(segment.flat.length, segment.to - segment.from);
  });
  t.deepEqual(
    segments.map(({ flat: { units } }) => units[0]?.id),
    ['embed', 'L0/norm1', 'L1/norm1', 'L2/norm1', 'norm'],
  );
  t.deepEqual(
    segments.flatMap((each) => each.flat.units.map(({ id }) => id)),
    flat.units.map(({ id }) => id),
  );
});

test('parameter group: where a layer lies is worked out once', (t) => {
  const dense = new Layout(resolveTopology({ model: { layers: 3, moe: null } })).groupOf(
    workerRank(0),
    'dense',
  );
  const [embedding, ...layers] = dense.segments;
  t.deepEqual(
    [0, 1, 2].map((layer) => dense.rangeOfLayer(layer)),
    layers.slice(0, 3).map(({ from, to }) => ({ from, to })),
  );
  t.is(dense.rangeOfLayer(0)?.from, embedding?.to);
  t.is(dense.rangeOfLayer(1), dense.rangeOfLayer(1));
  t.is(dense.rangeOfLayer(3), null);
});

test('segments: experts of a layer are one; nothing has none', (t) => {
  const units = [1, 3].flatMap((layer) =>
    [0, 1].map((expert) => expertUnit({ ...model, layers: 4 }, layer, expert)),
  );
  t.deepEqual(
    segmentsOf(flatLayout(units)).map(({ flat }) => flat.units.map(({ id }) => id)),
    [
      ['L1/expert0', 'L1/expert1'],
      ['L3/expert0', 'L3/expert1'],
    ],
  );
  t.deepEqual(segmentsOf(flatLayout([])), []);
});

test('rooms: one of every length, two or three where several segments have it', (t) => {
  const of = (...lengths: number[]) => lengths.map((to) => ({ from: 0, to }));
  t.deepEqual(roomsFor(of(5, 2, 2, 2, 2, 3), WEIGHT_ROOMS), [5, 2, 2, 3]);
  t.deepEqual(roomsFor(of(5, 2, 2, 2, 2, 3), BUCKET_ROOMS), [5, 2, 2, 2, 3]);
  t.deepEqual(roomsFor(of(4, 4), BUCKET_ROOMS), [4, 4]);
  t.deepEqual(roomsFor(of(), BUCKET_ROOMS), []);
});
