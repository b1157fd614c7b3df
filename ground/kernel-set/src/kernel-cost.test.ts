import test from 'ava';
import type { AttentionForwardCall } from './attention-calls.ts';
import type { Floats, Ints } from './device-array.ts';
import type { GradientTarget } from './gradient-target.ts';
import { asDeviceArray, onHost } from './host-memory.ts';
import type { ExpertsForwardCall } from './expert-calls.ts';
import type { KernelCall, LinearForwardCall } from './kernel-calls.ts';
import { callShape } from './call-shape.ts';
import { callCost, type KernelCost } from './kernel-cost.ts';

const floats = (length: number): Floats => asDeviceArray(new Float32Array(length));
const ints = (...values: readonly number[]): Ints => asDeviceArray(Int32Array.from(values));
const costOf = (call: KernelCall): KernelCost => callCost(onHost(call));

const linear: LinearForwardCall = {
  op: 'linear.forward',
  rows: 4,
  inDim: 3,
  outDim: 5,
  x: { data: floats(12) },
  weight: floats(15),
  out: { data: floats(20) },
};

test('callCost: a product counts two operations an FMA and each array once', (t) => {
  t.deepEqual(costOf(linear), { flops: 2 * 4 * 3 * 5, bytes: 4 * (12 + 15 + 20) });
});

test('callCost: what is added to is read and written', (t) => {
  const plain = costOf(linear).bytes;
  t.is(costOf({ ...linear, accumulate: true }).bytes - plain, 4 * 20);
  t.is(costOf({ ...linear, residual: { data: floats(20) } }).bytes - plain, 4 * 20);
  const gradient = costOf({
    op: 'linear.backward.weight',
    rows: 4,
    inDim: 3,
    outDim: 5,
    dOut: { data: floats(20) },
    x: { data: floats(12) },
    grainStarts: ints(0, 4),
    weightSum: { values: asDeviceArray(new BigInt64Array(15)), overflow: ints(0) },
  });
  t.is(gradient.bytes, 4 * (20 + 12) + 16 * 15);
});

test('callCost: a gradient that is begun or stored is written alone, in every row of a table', (t) => {
  const table = { op: 'embed.backward' as const, ids_T: ints(1, 1), dOut_TD: floats(6), dim: 3 };
  const grainStarts = ints(0, 2);
  const overflow = ints(0);
  const values = asDeviceArray(new BigInt64Array(30));
  const bytes = (tableSum: GradientTarget): number => costOf({ ...table, grainStarts, tableSum }).bytes;
  t.is(bytes({ values, overflow }), 4 * 2 + 4 * 6 + 16 * 6);
  t.is(bytes({ values, overflow, begin: true }), 4 * 2 + 4 * 6 + 8 * 30);
  t.is(bytes({ gradient: floats(30), overflow }), 4 * 2 + 4 * 6 + 4 * 30);
});

test('callCost: an element counts at its own size', (t) => {
  const wide = { ...linear, x: { data: asDeviceArray(new Float64Array(12)) } };
  t.is(costOf(wide).bytes - costOf(linear).bytes, 4 * 12);
});

test('callCost: attention counts the pairs that it sees', (t) => {
  const attention: AttentionForwardCall = {
    op: 'attention.forward',
    batch: 1,
    seqLen: 4,
    heads: 2,
    kvHeads: 1,
    headDim: 8,
    scale: 1,
    q: { data: floats(64) },
    k: { data: floats(32) },
    v: { data: floats(32) },
    out: { data: floats(64) },
    lse_TH: floats(8),
  };
  t.is(costOf(attention).flops, 10 * 2 * (4 * 8 + 4));
  // Two documents of two tokens each: rows 2 and 3 see nothing of the first.
  t.is(costOf({ ...attention, firstSeen_T: ints(0, 0, 2, 2) }).flops, (1 + 2 + 1 + 2) * 2 * (4 * 8 + 4));
  // Six keys of another stream: all of them, two, none, none.
  const other = { keyLen: 6, k: { data: floats(48) }, v: { data: floats(48) } };
  const seen = { firstSeen_T: ints(0, 2, 3, 4), endSeen_T: ints(6, 4, 3, 0) };
  const across = costOf({ ...attention, ...other, ...seen });
  t.is(across.flops, (6 + 2) * 2 * (4 * 8 + 4));
  t.is(across.bytes, 4 * (2 * 64 + 2 * 48 + 8));
  const bias = { table_BH: floats(8), buckets: 4, bidirectional: true, maxDistance: 9 };
  const biased = costOf({ ...attention, ...other, ...seen, bias });
  t.deepEqual(biased, { flops: across.flops + (6 + 2) * 2, bytes: across.bytes + 4 * 8 });
  t.is(callShape({ ...attention, ...other, ...seen }), '1×4×6, 2/1 heads of 8');
});

const experts = (...counts: readonly number[]): ExpertsForwardCall => ({
  op: 'experts.forward',
  experts: 2,
  dim: 4,
  hidden: 8,
  activation: 'swiglu',
  weights: floats(2 * 96),
  expertStride: 96,
  sources: [{ x_UD: floats(40), counts_EG: ints(...counts), numGrains: 2, y_ND: floats(40) }],
});

test('callCost: experts cost by their rows; one without rows reads no weights', (t) => {
  const row = { flops: 2 * 3 * 4 * 8 + 4 * 8, bytes: 4 * (4 + 4) };
  t.deepEqual(costOf(experts(1, 2, 0, 0)), { flops: 3 * row.flops, bytes: 3 * row.bytes + 4 * 96 });
  t.deepEqual(costOf(experts(1, 2, 0, 1)), { flops: 4 * row.flops, bytes: 4 * row.bytes + 2 * 4 * 96 });
  t.deepEqual(costOf(experts(0, 0, 0, 0)), { flops: 0, bytes: 0 });
});

test('callShape: names the sizes of a place in a model, not the rows that routing sent there', (t) => {
  t.is(callShape(linear), '4×3→5');
  t.is(callShape({ ...linear, precision: 'bf16' }), '4×3→5, bf16');
  t.is(callShape(experts(1, 2, 0, 0)), callShape(experts(5, 0, 9, 3)));
});
