import test from 'ava';
import { openReferenceDevice } from '@troupe/kernels';
import { dropless } from '@troupe/spec';
import type { Batch } from './batch.ts';
import { LocalModel } from './local-model.ts';
import { tinyConfig, type TinyChanges } from './testing/tiny-model.ts';

/** A pair: what the encoder reads, what the decoder reads, and the words that follow. */
interface Pair {
  readonly source: readonly number[];
  readonly ids: readonly number[];
  readonly targets: readonly number[];
}

const pairs: readonly Pair[] = [
  { source: [3, 1, 4], ids: [7, 2], targets: [2, 5] },
  { source: [6, 5], ids: [8, 4, 9], targets: [4, 9, 0] },
  { source: [2, 2, 8, 1], ids: [7, 1, 3], targets: [1, 3, 6] },
  { source: [9], ids: [8, 10], targets: [10, 1] },
];

/** Windows of some pairs each, and padding behind them. */
function batchOf(windows: readonly (readonly Pair[])[], lengths: { source: number; target: number }): Batch {
  const rows = (length: number): Int32Array =>
    Int32Array.from({ length: windows.length * length }, (_, row) => row % length);
  const [own, read] = [rows(lengths.target), rows(lengths.source)];
  const batch = {
    ids_T: new Int32Array(own.length),
    targets_T: new Int32Array(own.length).fill(-1),
    firstSeen_T: own,
    valid_T: new Uint8Array(own.length),
    source: {
      ids_T: new Int32Array(read.length),
      firstSeen_T: read,
      endSeen_T: read.map((row) => row + 1),
      valid_T: new Uint8Array(read.length),
      crossFirst_T: new Int32Array(own.length),
      crossEnd_T: new Int32Array(own.length),
    },
  };
  for (const [window, texts] of windows.entries()) {
    let [at, from] = [0, 0];
    for (const { source, ids, targets } of texts) {
      const [row, readRow] = [window * lengths.target + at, window * lengths.source + from];
      batch.ids_T.set(ids, row);
      batch.targets_T.set(targets, row);
      batch.firstSeen_T.fill(at, row, row + ids.length);
      batch.valid_T.fill(1, row, row + ids.length);
      batch.source.crossFirst_T.fill(from, row, row + ids.length);
      batch.source.crossEnd_T.fill(from + source.length, row, row + ids.length);
      batch.source.ids_T.set(source, readRow);
      batch.source.firstSeen_T.fill(from, readRow, readRow + source.length);
      batch.source.endSeen_T.fill(from + source.length, readRow, readRow + source.length);
      batch.source.valid_T.fill(1, readRow, readRow + source.length);
      [at, from] = [at + ids.length, from + source.length];
    }
  }
  return batch;
}

const changes: TinyChanges = {
  layers: 4,
  encoder: { layers: 2, seqLen: 0 },
  positions: 'sinusoidal',
  moe: {
    every: 2,
    topK: 1,
    capacity: { ...dropless, train: 1, eval: 2, min: 1, drop: 'position' },
    // Of the tokens together, however many sequences they are in.
    balance: { auxLoss: 0.3, zLoss: 0.1, scope: 'global', layers: 'each', bias: 0, domain: 1 },
  },
};

/** Loss, and the gradients of every tensor, of the pairs in these windows, all in one grain. */
async function resultOf(windows: readonly (readonly Pair[])[], source: number, target: number) {
  const config = tinyConfig({ ...changes, seqLen: target, encoder: { layers: 2, seqLen: source } });
  const device = openReferenceDevice({ dtype: 'f32' });
  const model = new LocalModel(device, { config, sequences: windows.length });
  await model.initialise(3);
  const { loss, total, gradients } = await model.lossAndGradients(batchOf(windows, { source, target }));
  const tensors = model.weights.layout.units
    .flatMap(({ parameters }) => parameters)
    .map(({ name }): [string, readonly number[]] => [name, [...device.read(gradients.parameter(name))]]);
  return { loss, total, tensors: new Map(tensors) };
}

test('packing: neither padding nor other texts of a window change a gradient', async (t) => {
  const alone = await resultOf(
    pairs.map((pair) => [pair]),
    4,
    3,
  );
  for (const [name, values] of alone.tensors)
    t.true(name.includes('.experts.') || values.some((value) => value !== 0), name);
  const padded = await resultOf(
    pairs.map((pair) => [pair]),
    7,
    6,
  );
  const packed = await resultOf([pairs.slice(0, 2), pairs.slice(2)], 5, 5);
  const emptyToo = await resultOf([pairs.slice(0, 3), [], pairs.slice(3)], 9, 8);
  for (const other of [padded, packed, emptyToo]) t.deepEqual(other, alone);
});
