import test from 'ava';
import { openReferenceDevice } from '@troupe/kernels';
import { resolveTopology } from '@troupe/topology';
import { Layout, workerRank } from '@troupe/topology/layout';
import { GatheredWeights } from './gathered-weights.ts';
import type { Job } from './job.ts';
import type { Worker } from './worker.ts';

const topology = resolveTopology({
  model: { layers: 4, vocab: 64, dModel: 32, heads: 2, moe: null, ffn: { kind: 'swiglu', dFf: 64 } },
  data: { synthetic: 'zipf' },
  train: { batch: 2, grains: 2 },
  parallel: { dp: 2, zero: 3 },
});
const layout = new Layout(topology);
const group = layout.groupOf(workerRank(0), 'dense');
const device = openReferenceDevice({ dtype: 'f32' });
const job = { layout, precision: 'f32' } as Job;
const worker = { device, job } as unknown as Worker;
const open = () => new GatheredWeights(worker, group);
const [embed, first, second, third] = group.segments;

/** All of a segment comes. */
function fill(weights: GatheredWeights, segment: typeof first, version: number, value: number): void {
  if (segment === undefined) return;
  for (const { kind, values } of weights.room(segment, version, segment))
    if (kind === 'f32') device.write(values, new Float32Array(values.length).fill(value));
  weights.came(segment, version, segment.to - segment.from);
}

test('GatheredWeights: a segment is gathered once, read while it is held, and stays until its room is needed', (t) => {
  const weights = open();
  t.is(weights.claim(first!, 7), 'gather');
  t.is(weights.claim(first!, 7), 'coming');
  fill(weights, first, 7, 0.5);
  t.is(weights.claim(first!, 7), 'here');
  t.throws(() => weights.at(7).view('L0/qkv'), { message: /REP-3/ }, 'nobody holds it');
  weights.hold(first!, 7);
  t.is(device.read(weights.at(7).view('L0/qkv'))[3], 0.5);
  t.is(weights.at(7).span('L0/norm1', 'L0/qkv').length, 1024 + group.flat.units[2]!.paddedSize);
  t.throws(() => weights.at(8).view('L0/qkv'), { message: /REP-3/ }, 'another version');
  t.throws(() => weights.at(7).view('L1/qkv'), { message: /REP-3/ }, 'another layer');
});

test('GatheredWeights: what is computed with, or on its way, keeps its room; the oldest of the others goes', (t) => {
  const weights = open();
  t.is(weights.claim(first!, 1), 'gather');
  t.is(weights.claim(second!, 1), 'gather');
  t.is(weights.claim(third!, 1), null, 'both rooms are being filled');
  t.is(weights.claim(embed!, 1), 'gather', 'another size has a room of its own');
  fill(weights, first, 1, 1);
  weights.hold(first!, 1);
  fill(weights, second, 1, 2);
  weights.hold(second!, 1);
  t.is(weights.claim(third!, 1), null, 'both are held');
  weights.leave(second!, 1);
  t.is(weights.claim(third!, 1), 'gather');
  t.is(weights.claim(second!, 1), null);
  fill(weights, third, 1, 3);
  t.is(device.read(weights.at(1).view('L0/norm1'))[0], 1);
  t.throws(() => weights.leave(second!, 1), { message: /left once/ });
  t.throws(() => weights.room(second!, 1, second!), { message: /a room that waits for them/ });
  weights.clear();
  t.is(weights.claim(second!, 2), 'gather');
  t.throws(() => weights.came(second!, 2, 1e9), { message: /weights come once/ });
});
