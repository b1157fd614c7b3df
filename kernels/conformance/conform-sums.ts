import {
  LOSS_QUANTUM_LOG2,
  NORM_QUANTUM_LOG2,
  type Device,
  type Int64s,
  type KernelCall,
} from '@troupe/kernel-set';
import { wideNumber } from '@troupe/core';
import { compute, type ConformanceBody, type Test } from './body.ts';
import { floatsOf, intsBy } from './device-values.ts';

/** Values of loss-like sums. */
const valuesOf = (device: Device, sums: Int64s): number[] => {
  const words = device.read(sums);
  return Array.from({ length: words.length / 2 }, (_, at) => wideNumber(words, LOSS_QUANTUM_LOG2, at));
};

/** A head of two words over tokens in grains of one: a token x has the logits x and -x, and the second word is the target. */
function headLoss(device: Device, x: readonly number[], lossSum: Int64s): KernelCall {
  return {
    op: 'head.loss',
    tokens: x.length,
    dim: 1,
    vocab: 2,
    x_TD: floatsOf(device, x),
    head_VD: floatsOf(device, [1, -1]),
    targets_T: intsBy(device, x.length, () => 1),
    grainStarts: intsBy(device, x.length + 1, (grain) => grain),
    loss_T: device.floats(x.length),
    lossSum,
  };
}

/** Statistics of tokens that have the same logit for both of two experts, each a group of its own. */
function balance(device: Device, logits: readonly number[]) {
  const tokens = logits.length;
  const logits_TE = floatsOf(
    device,
    logits.flatMap((logit) => [logit, logit]),
  );
  const sums = { lossSums: device.int64s(4), probSums_E: device.int64s(4), counts_E: device.ints(2) };
  const shape = { tokens, experts: 2, topK: 1, logits_TE };
  const routed = { probs_TE: device.floats(2 * tokens), choices_TK: device.ints(tokens) };
  const calls: KernelCall[] = [
    {
      op: 'gate.forward',
      ...shape,
      ...routed,
      renormalise: false,
      choicesGiven: false,
      weights_TK: device.floats(tokens),
    },
    {
      op: 'balance.forward',
      ...shape,
      ...routed,
      ...sums,
      groupStarts: intsBy(device, tokens + 1, (group) => group),
      fractions_BE: device.floats(2 * tokens),
    },
  ];
  return { sums, calls };
}

/** WIDE-1: a sum is exact however large, or marked invalid forever. */
export function conformSums(test: Test, body: ConformanceBody): void {
  const close = (found: number, expected: number): boolean =>
    Math.abs(found - expected) <= body.tolerance.forward * expected;

  test(`${body.name} sums of losses: beyond 2^27 they are right`, async (t) => {
    const device = await body.open();
    const lossSum = device.int64s(2);
    await compute(device, [headLoss(device, [2 ** 30, 3, 2 ** 31, 2 ** 40], lossSum)]);
    t.true(
      close(valuesOf(device, lossSum)[0]!, 2 * (2 ** 30 + 2 ** 31 + 2 ** 40)),
      `${valuesOf(device, lossSum)[0]}`,
    );
    const { sums, calls } = balance(device, [2 ** 20, 2 ** 21, 0]);
    await compute(device, calls);
    const squares = [2 ** 20, 2 ** 21, 0].map((logit) => (logit + Math.LN2) ** 2);
    const expected = squares.reduce((a, b) => a + b, 0);
    t.true(close(valuesOf(device, sums.lossSums)[1]!, expected), `${valuesOf(device, sums.lossSums)[1]}`);
    t.true(close(valuesOf(device, sums.probSums_E)[1]!, 1.5));
    await device.close();
  });

  for (const bad of [Number.NaN, Infinity, -Infinity]) {
    test(`${body.name} sums of losses: ${bad} in any number of grains never cancels`, async (t) => {
      for (const open of [() => body.open(), ...(body.family ?? [])]) {
        const device = await open();
        // Four leaves of -2^62 were 0 once, and two of them the most negative number.
        for (const numBad of [1, 2, 4]) {
          const lossSum = device.int64s(2);
          const row = [1, ...Array.from({ length: numBad }, () => bad), 2];
          await compute(device, [headLoss(device, row, lossSum)]);
          t.deepEqual(valuesOf(device, lossSum), [Number.NaN], device.info.name);
          await compute(device, [headLoss(device, [1, 2], lossSum)]);
          t.deepEqual(valuesOf(device, lossSum), [Number.NaN], device.info.name);
          const { sums, calls } = balance(device, row);
          await compute(device, calls);
          t.deepEqual(valuesOf(device, sums.lossSums), [Number.NaN, Number.NaN], device.info.name);
          t.deepEqual(valuesOf(device, sums.probSums_E), [Number.NaN, Number.NaN], device.info.name);
        }
        await device.close();
      }
    });
  }

  test(`${body.name} sum.squares: a square that does not fit, or a sum of them, is none`, async (t) => {
    const device = await body.open();
    const normOf = async (values: readonly number[], length: number, times = 1): Promise<number> => {
      const gradient = floatsOf(
        device,
        Float64Array.from({ length }, (_, i) => values[i] ?? 0),
      );
      const norm128 = device.int64s(2);
      const call = { op: 'sum.squares', gradient, norm128 } as const;
      await compute(
        device,
        Array.from({ length: times }, () => call),
      );
      return wideNumber(device.read(norm128), NORM_QUANTUM_LOG2);
    };
    t.is(await normOf([2 ** 22], 3000), 2 ** 44);
    t.is(await normOf([2 ** 22], 3000, 3), 3 * 2 ** 44);
    t.is(await normOf([2 ** 22], 3000, 4), Number.NaN);
    // One leaf is too large, or the leaves are together, or parts of different threads.
    for (const length of [1, 3000, 300_000]) t.is(await normOf([2 ** 23], length), Number.NaN);
    const spread = Array.from({ length: 300_000 }, (_, i) => (i % 50_000 === 0 ? 2 ** 22 : 0));
    t.is(await normOf(spread, 300_000), Number.NaN);
    for (const value of [Number.NaN, Infinity, 1e30]) t.is(await normOf([1, value], 5000), Number.NaN);
    await device.close();
  });
}
