import test from 'ava';
import { address } from '@troupe/core';
import { openReferenceDevice } from '@troupe/kernels';
import { resolveTopology } from '@troupe/topology';
import { BUCKET_ROOMS, Layout, workerRank } from '@troupe/topology/layout';
import { Buckets } from './buckets.ts';
import type { Job } from './job.ts';
import { Worker } from './worker.ts';

const topology = resolveTopology({
  model: { layers: 4, vocab: 64, dModel: 32, heads: 2, moe: null, ffn: { kind: 'swiglu', dFf: 64 } },
  data: { synthetic: 'zipf' },
  train: { batch: 4, grains: 4, microbatches: 2 },
  parallel: { dp: 2, zero: 2 },
});
const layout = new Layout(topology);
const device = openReferenceDevice({ dtype: 'f32' });

function open(): Buckets {
  const job = { model: topology.model, layout } as Job;
  const worker = new Worker(job, workerRank(0), device, { joins: false });
  return new Buckets(worker, layout.groupOf(workerRank(0), 'dense'));
}
const by = address('pass/pp0/dp0/tp0/s0');
const id = (segment: number, microbatch = 0, step = 1) => ({ step, segment, microbatch });

test('Buckets: GRD-3, a bucket is of one segment and microbatch until all its receivers have answered', (t) => {
  const buckets = open();
  t.throws(() => buckets.of(0).view('L0/qkv'), { message: /filled while it is open/ });
  t.true(buckets.open(id(1), by));
  t.true(buckets.open(id(1), by), 'it is open');
  const target = buckets.of(0).view('L0/qkv');
  t.true('begin' in target && target.begin, 'nobody else adds to it');
  t.false(
    'begin' in buckets.of(0).more.view('L0/qkv') &&
      (buckets.of(0).more.view('L0/qkv') as { begin: boolean }).begin,
  );
  t.throws(() => buckets.of(1).view('L0/qkv'), { message: /filled while it is open/ }, 'another microbatch');
  t.throws(() => buckets.filled(id(2)), { message: /opened before it was filled/ });
  buckets.filled(id(1)).awaited = 2;
  t.throws(
    () => buckets.of(0).view('L0/qkv'),
    { message: /filled while it is open/ },
    'its receivers have it',
  );
  for (const segment of [2, 3]) {
    t.true(buckets.open(id(segment), by));
    buckets.filled(id(segment)).awaited = 1;
  }
  t.false(buckets.open(id(4), by), 'all of this size are under way');
  t.deepEqual(
    buckets.holdings(4),
    [1, 2, 3].map((segment) => ({ ...id(segment), filledBy: by, isUnderWay: true })),
  );
  t.false(buckets.answered(id(1)));
  t.false(buckets.open(id(4), by));
  t.true(buckets.answered(id(1)));
  t.throws(() => buckets.answered(id(1)), { message: /answered once/ });
  t.true(buckets.open(id(4), by));
});

test('Buckets: GRD-3, there are as many of a length as a plan counts, and no more whoever waits; an attempt that ends frees them', (t) => {
  const buckets = open();
  for (let segment = 1; segment <= BUCKET_ROOMS; segment++) t.true(buckets.open(id(segment), by));
  t.false(buckets.open(id(4), by), 'all of them are being filled');
  buckets.filled(id(2)).awaited = 1;
  t.false(buckets.open(id(4), by));
  t.like(buckets.holdings(4)[0], { segment: 2, isUnderWay: true }, 'what comes back soonest');
  t.like(buckets.holdings(4)[1], { segment: 1, isUnderWay: false, filledBy: by });
  t.true(buckets.open(id(0), by), 'the embedding has another length');
  buckets.abandon();
  t.true(buckets.open(id(4, 1, 2), by));
  t.notThrows(() => buckets.of(1).view('L3/qkv'));
});

test('Buckets: padding of one segment is cleared where another has its elements', (t) => {
  const buckets = open();
  buckets.open(id(0), by);
  const { values } = buckets.filled(id(0));
  device.write(values, new BigInt64Array(values.length).fill(9n));
  buckets.filled(id(0)).awaited = 1;
  buckets.answered(id(0));
  buckets.open(id(0, 1), by);
  const { size, paddedSize } = layout.groupOf(workerRank(0), 'dense').units[0]!;
  const found = device.read(buckets.filled(id(0, 1)).values);
  t.deepEqual(
    [...found.subarray(size)],
    Array.from({ length: paddedSize - size }, () => 0n),
  );
});
