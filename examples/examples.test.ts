import test from 'ava';
import { assert } from '@troupe/core';
import { onHost, type KernelCall, type SyncDevice } from '@troupe/kernel-set';
import { openReferenceDevice } from '@troupe/kernels';
import { fileStorage, latestCheckpoint, loadTopology } from 'troupe';
import { main as runBroken } from './break-a-cluster.ts';
import { main as runService } from './expert-service.ts';
import { main as runExpert, residualExpert } from './own-expert.ts';
import { main as runGate, noisyGate } from './own-gate.ts';
import { main as runQuickstart } from './quickstart-embedding.ts';

const oneDevice = ['parallel.dp=1', 'parallel.ep=1', 'machines=[{ host: localhost, devices: [cpu:0] }]'];
const quiet = { steps: 2, print: () => {} };

test('quickstart-embedding: prints a line a step; the loss falls', async (t) => {
  const lines: string[] = [];
  const losses = await runQuickstart({ steps: 6, print: (line) => void lines.push(line) });
  t.is(lines.length, 6);
  t.regex(lines[0] ?? '', /^step 1 {2}loss 5\.\d{4} {2}\d+ tokens\/s {2}hottest expert \d\.\d\d × mean$/);
  t.true((losses.at(-1) ?? 9) < (losses[0] ?? 0) - 0.1, losses.join(', '));
});

for (const [name, run] of [
  ['own-gate', runGate],
  ['own-expert', runExpert],
] as const) {
  test(`${name}: trains, not as the model's own does, and alike on one device and on two`, async (t) => {
    const losses = await run(quiet);
    t.is(losses.length, 2);
    t.true(losses.every((loss) => Number.isFinite(loss) && loss < 7));
    t.notDeepEqual(losses, await runQuickstart(quiet));
    t.deepEqual(await run({ ...quiet, set: oneDevice }), losses);
  });
}

test('break-a-cluster: a worker dies inside a step, and the losses are those of the run without it', async (t) => {
  const lines: string[] = [];
  const { calm, broken } = await runBroken({ steps: 3, print: (line) => void lines.push(line) });
  t.is(calm.length, 3);
  t.deepEqual(broken, calm);
  t.true(
    lines.some((line) => line.startsWith('recovered from')),
    lines.join('\n'),
  );
});

test('expert-service: another process answers with the outputs of the checkpoint’s own experts, and leaves', async (t) => {
  const lines: string[] = [];
  await runService({
    print: (line) => void lines.push(line),
    inspect: async (folder, x_ND, experts_N, y_ND) => {
      const { checkpoint } = await latestCheckpoint(fileStorage(folder), 'run');
      assert(checkpoint, 'it was written');
      const { model } = loadTopology('tiny');
      const dim = model.dModel;
      const of = (expert: number, part: string) =>
        checkpoint.read(`model.layers.1.mlp.experts.${expert}.${part}_proj.weight`, 'weights');
      const [gate, up, down] = await Promise.all(['gate', 'up', 'down'].map((part) => of(3, part)));
      assert(gate && up && down, 'an expert has three matrices');
      const row = experts_N.lastIndexOf(3);
      const x = [...x_ND.subarray(row * dim, (row + 1) * dim)];
      const times = (matrix: ArrayLike<number>, by: readonly number[]) =>
        Array.from({ length: matrix.length / by.length }, (_, i) =>
          by.reduce((sum, value, j) => sum + value * (matrix[i * by.length + j] ?? Number.NaN), 0),
        );
      const hidden = times(gate, x).map(
        (value, i) => (value / (1 + Math.exp(-value))) * (times(up, x)[i] ?? 0),
      );
      const expected = times(down, hidden);
      const apart = Math.max(
        ...expected.map((value, i) => Math.abs(value - (y_ND[row * dim + i] ?? Number.NaN))),
      );
      t.log(`largest difference ${apart.toExponential(1)}`);
      t.true(apart < 1e-5);
      t.true(expected.some((value) => Math.abs(value) > 0.01));
      await checkpoint.close();
    },
  });
  t.regex(lines[0] ?? '', /^process \d+ serves 4 experts at tcp:\/\/127\.0\.0\.1:\d+$/);
  t.is(lines.at(-1), 'the service left with exit code 0');
});

test('own-gate: distinct experts in falling order; without noise the top-k; the same for any cut of the tokens', (t) => {
  const question = { tokens: 12, experts: 5, topK: 2, step: 3, layer: 1, firstToken: 40 };
  const logits_TE = Float32Array.from({ length: 60 }, (_, i) => Math.sin(i * 12.9898));
  const plain = noisyGate(1, 0).choose(logits_TE, question);
  const noisy = noisyGate(1, 2).choose(logits_TE, question);
  for (let token = 0; token < 12; token++) {
    const row = [...logits_TE.subarray(token * 5, token * 5 + 5)];
    const [first = -1, second = -1] = plain.subarray(token * 2, token * 2 + 2);
    const sorted = row.toSorted((a, b) => b - a);
    t.deepEqual([row[first], row[second]], [sorted[0], sorted[1]]);
    t.not(noisy[token * 2], noisy[token * 2 + 1]);
  }
  t.notDeepEqual(noisy, plain);
  const tail = noisyGate(1, 2).choose(logits_TE.subarray(35), { ...question, tokens: 5, firstToken: 47 });
  t.deepEqual([...tail], [...noisy.subarray(14)]);
  t.notDeepEqual(noisyGate(1, 2).choose(logits_TE, { ...question, step: 4 }), noisy);
  t.deepEqual(
    [...noisyGate(1, 0).choose(new Float32Array(5), { ...question, tokens: 1 })],
    [0, 1],
    'ties go to the lower expert',
  );
});

/** Two experts, two sources; the second source has a token that visits both experts and an expert without rows. */
function smallCase(device: SyncDevice) {
  const [dim, hidden, expertStride] = [3, 4, 40];
  const wave = (length: number, phase: number) => {
    const data = device.floats(length);
    device.write(
      data,
      Array.from({ length }, (_, i) => Math.sin(phase + i * 0.7)),
    );
    return data;
  };
  const ints = (...values: readonly number[]) => device.upload(Int32Array.from(values));
  const sources = [
    { x_UD: wave(9, 1), slots_N: ints(0, 2, 1), counts_EG: ints(2, 1), numGrains: 1 },
    { x_UD: wave(6, 2), slots_N: ints(0, 1, 1), counts_EG: ints(2, 1), numGrains: 1 },
  ].map((source, index) => ({
    ...source,
    y_ND: wave(9, 7),
    dOut_UD: wave(source.x_UD.length, 3 + index),
    rowWeights_N: wave(3, 5 + index),
    dx_ND: wave(9, 8),
  }));
  const weights = wave(2 * expertStride, 4);
  const saved = device.floats(6 * 2 * hidden);
  const weightSum = { values: device.int64s(2 * expertStride), overflow: device.ints(1) };
  const shape = {
    experts: 2,
    dim,
    hidden,
    activation: 'swiglu' as const,
    weights,
    expertStride,
    sources,
    saved,
  };
  const forward = { op: 'experts.forward' as const, ...shape };
  const backward = { op: 'experts.backward' as const, ...shape, weightSum };
  const run = (calls: readonly KernelCall[]): void => {
    const { error } = device.run(calls);
    if (error !== null) throw error;
  };
  /** What the backward pass is the gradient of: Σ over rows of weight · ⟨dOut, y⟩. */
  const value = (): number => {
    run(residualExpert.forward(forward));
    let sum = 0;
    for (const { y_ND, slots_N, dOut_UD, rowWeights_N } of onHost(sources)) {
      slots_N.forEach((token, row) => {
        for (let d = 0; d < dim; d++)
          sum += (rowWeights_N[row] ?? 0) * (dOut_UD[token * dim + d] ?? 0) * (y_ND[row * dim + d] ?? 0);
      });
    }
    return sum;
  };
  return { dim, weights, weightSum, sources, forward, backward, run, value };
}

test('own-expert: with weights at zero every expert is the identity', (t) => {
  const { dim, weights, sources, forward, run } = smallCase(openReferenceDevice());
  onHost(weights).fill(0);
  run(residualExpert.forward(forward));
  for (const { x_UD, slots_N, y_ND } of onHost(sources)) {
    slots_N.forEach((token, row) =>
      t.deepEqual(
        [...y_ND.subarray(row * dim, (row + 1) * dim)],
        [...x_UD.subarray(token * dim, (token + 1) * dim)],
      ),
    );
  }
});

test('own-expert: the backward pass is the gradient of the forward pass, by finite differences', (t) => {
  const { dim, weights, weightSum, sources, backward, run, value } = smallCase(openReferenceDevice());
  const step = 1e-5;
  const slope = (data: { [index: number]: number }, index: number): number => {
    const before = data[index];
    assert(before !== undefined, 'the index is inside');
    data[index] = before + step;
    const up = value();
    data[index] = before - step;
    const down = value();
    data[index] = before;
    return (up - down) / (2 * step);
  };
  value();
  run(residualExpert.backward(backward));
  let largest = 0;
  for (const { x_UD, slots_N, dx_ND } of onHost(sources)) {
    for (let index = 0; index < x_UD.length; index++) {
      const found = slots_N.reduce(
        (sum, token, row) =>
          token === Math.floor(index / dim) ? sum + (dx_ND[row * dim + (index % dim)] ?? 0) : sum,
        0,
      );
      largest = Math.max(largest, Math.abs(found - slope(x_UD, index)));
    }
  }
  for (let index = 0; index < weights.length; index++) {
    largest = Math.max(
      largest,
      Math.abs(Number(onHost(weightSum.values)[index] ?? 0n) * 2 ** -50 - slope(onHost(weights), index)),
    );
  }
  t.log(`largest difference ${largest.toExponential(1)}`);
  t.true(largest < 1e-7);
  t.true(onHost(sources).every(({ dx_ND }) => dx_ND.some((value) => Math.abs(value) > 0.1)));
});
