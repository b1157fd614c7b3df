/** PyTorch's attention: causal, of both sides, over another stream, padded, with a bias; and the buckets of T5. */
import { bucketOf, type Ints } from '@troupe/kernel-set';
import { compute } from './body.ts';
import { floatsOf, intsBy, intsOf } from './device-values.ts';
import type { FixtureCheck } from './fixture-check.ts';
import type { Fixture } from './fixtures.ts';

interface Seen {
  readonly firstSeen_T?: Ints;
  readonly endSeen_T?: Ints;
}

/** @param keyLen - rows of keys @param seen - what the rows of the fixture see */
function attention(
  keyLen: number,
  seen: (f: Fixture, rows: (value: (position: number, b: number) => number) => Ints) => Seen,
): FixtureCheck {
  return async (f, device, expect) => {
    const [batch, seqLen, heads, kvHeads, headDim] = [2, 7, 4, 2, 8];
    const put = (name: string) => ({ data: f.put(f.heads(name)) });
    const empty = (length: number, width: number) => ({
      data: device.floats(batch * length * width * headDim),
    });
    const [out, dq] = [empty(seqLen, heads), empty(seqLen, heads)];
    const [dk, dv] = [empty(keyLen, kvHeads), empty(keyLen, kvHeads)];
    const shape = {
      batch,
      seqLen,
      keyLen,
      heads,
      kvHeads,
      headDim,
      scale: headDim ** -0.5,
      q: put('q'),
      k: put('k'),
      v: put('v'),
      out,
      lse_TH: device.floats(batch * seqLen * heads),
      ...seen(f, (value) => intsBy(device, batch * seqLen, (t) => value(t % seqLen, Math.floor(t / seqLen)))),
    };
    await compute(device, [
      { op: 'attention.forward', ...shape },
      { op: 'attention.backward', ...shape, dOut: put('grad_out'), dq, dk, dv },
    ]);
    expect('out', 'forward', device.read(out.data), f.heads('out'));
    expect('grad_q', 'gradient', device.read(dq.data), f.heads('grad_q'));
    expect('grad_k', 'gradient', device.read(dk.data), f.heads('grad_k'));
    expect('grad_v', 'gradient', device.read(dv.data), f.heads('grad_v'));
  };
}

/** Keys of sequence `b` that a mask leaves, which are its first ones. */
const keysLeft = (f: Fixture, b: number): number =>
  f
    .values('mask')
    .subarray(b * 11, (b + 1) * 11)
    .reduce((sum, one) => sum + one, 0);

/**
 * A bias of its own for every pair of positions, which a table by distance has no room for: so a call a query row, whose distances are the
 * keys' positions, each in a bucket of its own.
 */
const biased: FixtureCheck = async (f, device, expect) => {
  const [batch, seqLen, keyLen, heads, headDim, buckets] = [2, 7, 11, 4, 8, 64];
  const width = heads * headDim;
  const relative = { buckets, bidirectional: true, maxDistance: 128 };
  const bucket = bucketOf(relative);
  const data = (name: string) => f.put(f.heads(name));
  const [q, k, v, dOut] = [data('q'), data('k'), data('v'), data('grad_out')];
  const [out, dq] = [device.floats(batch * seqLen * width), device.floats(batch * seqLen * width)];
  const [dk, dv] = [device.floats(batch * keyLen * width), device.floats(batch * keyLen * width)];
  const [sumK, sumV] = [new Float64Array(dk.length), new Float64Array(dv.length)];
  const bias = f.values('bias');
  const gradBias = new Float64Array(bias.length);
  const pairs = (row: number, each: (inTable: number, inBias: number) => void): void => {
    for (let h = 0; h < heads; h++)
      for (let j = 0; j < keyLen; j++) each(bucket(j) * heads + h, (h * seqLen + row) * keyLen + j);
  };
  for (let row = 0; row < seqLen; row++) {
    const table = new Float64Array(buckets * heads);
    pairs(row, (inTable, inBias) => (table[inTable] = bias[inBias]!));
    const at = (array: typeof q) => ({ data: array, offset: row * width, stride: seqLen * width });
    const biasSum = f.emptySum(buckets * heads);
    const shape = {
      batch,
      seqLen: 1,
      keyLen,
      heads,
      kvHeads: heads,
      headDim,
      scale: 1,
      endSeen_T: intsBy(device, batch, () => keyLen),
      bias: { ...relative, table_BH: floatsOf(device, table) },
      q: at(q),
      k: { data: k },
      v: { data: v },
      out: at(out),
      lse_TH: device.floats(batch * heads),
    };
    const gradients = { dq: at(dq), dk: { data: dk }, dv: { data: dv }, biasSum };
    await compute(device, [
      { op: 'attention.forward', ...shape },
      {
        op: 'attention.backward',
        ...shape,
        dOut: at(dOut),
        ...gradients,
        grainStarts: intsOf(device, [0, 1, 2]),
      },
    ]);
    device.read(dk).forEach((value, i) => (sumK[i]! += value));
    device.read(dv).forEach((value, i) => (sumV[i]! += value));
    const found = await f.read(biasSum);
    pairs(row, (inTable, inBias) => (gradBias[inBias] = found[inTable]!));
  }
  expect('out', 'forward', device.read(out), f.heads('out'));
  expect('grad_q', 'gradient', device.read(dq), f.heads('grad_q'));
  expect('grad_k', 'gradient', sumK, f.heads('grad_k'));
  expect('grad_v', 'gradient', sumV, f.heads('grad_v'));
  expect('grad_bias', 'gradient', gradBias, f.values('grad_bias'));
};

/**
 * Buckets by the function of the contract, and of keys up to the row by the kernel: a table of the buckets' numbers, and scores that leave one
 * key, so that the log-sum-exp of a row is the number of that key's bucket.
 */
function relativeBucket(bidirectional: boolean, buckets: number, maxDistance: number): FixtureCheck {
  return async (f, device, expect) => {
    const relative = { buckets, bidirectional, maxDistance };
    const [distances, expected] = [f.values('relative_position'), f.values('bucket')];
    expect('buckets', 'forward', Float64Array.from(distances, bucketOf(relative)), expected);
    const seqLen = distances.reduce((most, distance) => Math.max(most, 1 - distance), 0);
    const keys = intsBy(device, seqLen, (position) => position + 1);
    const lse_TH = device.floats(seqLen);
    const rows = (value: (position: number) => number) => ({
      data: floatsOf(
        device,
        Array.from({ length: seqLen }, (_, position) => value(position)),
      ),
    });
    await compute(device, [
      {
        op: 'attention.forward',
        batch: 1,
        seqLen,
        heads: 1,
        kvHeads: 1,
        headDim: 1,
        scale: 1,
        endSeen_T: keys,
        bias: {
          ...relative,
          table_BH: floatsOf(
            device,
            Array.from({ length: buckets }, (_, i) => i),
          ),
        },
        q: rows(() => 1),
        k: rows((position) => (position === 0 ? 0 : -10_000)),
        v: rows(() => 1),
        out: rows(() => 0),
        lse_TH,
      },
    ]);
    const found = device.read(lse_TH);
    const past = Array.from(distances.keys()).filter((i) => distances[i]! <= 0);
    expect(
      'buckets of a kernel',
      'forward',
      past.map((i) => found[-distances[i]!]!),
      past.map((i) => expected[i]!),
    );
  };
}

export const attentionFixtures: Readonly<Record<string, FixtureCheck>> = {
  attention_causal: attention(7, () => ({})),
  attention_sliding: attention(7, (_, rows) => ({ firstSeen_T: rows((own) => Math.max(0, own - 2)) })),
  attention_bidirectional: attention(7, (_, rows) => ({ endSeen_T: rows(() => 7) })),
  attention_cross: attention(11, (_, rows) => ({ endSeen_T: rows(() => 11) })),
  attention_padded: attention(11, (f, rows) => ({ endSeen_T: rows((_own, b) => keysLeft(f, b)) })),
  attention_bias: biased,
  relative_bucket_bidirectional: relativeBucket(true, 32, 128),
  relative_bucket_causal: relativeBucket(false, 32, 128),
  relative_bucket_bidirectional_small: relativeBucket(true, 8, 16),
  relative_bucket_causal_small: relativeBucket(false, 10, 20),
};
