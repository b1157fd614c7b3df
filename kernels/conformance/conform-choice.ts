import { NO_CANDIDATE, TAKES_NONE, type Device } from '@troupe/kernel-set';
import { compute, submit, type ConformanceBody, type Test } from './body.ts';
import { bytesOf, floatsOf, int64sOf, intsOf } from './device-values.ts';

interface Group {
  /** [sequence][expert]. */
  readonly probs: readonly (readonly number[])[];
  readonly valid?: readonly number[];
  readonly chosen: number;
}

/** Sequences of one position that are one group: the threshold of each expert, and the experts of each sequence. */
async function choose(device: Device, { probs, valid, chosen }: Group) {
  const [tokens, experts] = [probs.length, probs[0]!.length];
  const fields = {
    tokens,
    experts,
    seqLen: 1,
    partSequences: tokens,
    groupSequences: tokens,
    firstSequence: 0,
    probs_TE: floatsOf(device, probs.flat()),
    ...(valid === undefined ? {} : { valid_T: bytesOf(device, valid) }),
  };
  const [keys, numValid] = [device.int64s(experts * chosen), device.ints(1)];
  const [thresholds, choices_TE] = [device.int64s(experts), device.ints(tokens * experts)];
  const [probSums_E, numGroups] = [device.int64s(experts), device.int64s(1)];
  const shape = { positions: 1, experts, groupSequences: tokens, chosen, thresholds };
  await compute(device, [
    { op: 'choice.candidates', ...fields, take: chosen, keys, numValid },
    {
      op: 'choice.thresholds',
      ...shape,
      take: chosen,
      sources: [{ keys, numValid }],
      probSums_E,
      numGroups,
    },
    { op: 'choice.take', ...fields, thresholds, choices_TE },
  ]);
  return {
    keys: [...device.read(keys)],
    numValid: device.read(numValid)[0],
    thresholds: [...device.read(thresholds)],
    choices: Array.from({ length: tokens }, (_, t) =>
      [...device.read(choices_TE)].slice(t * experts, (t + 1) * experts).filter((e) => e >= 0),
    ),
    sums: [...device.read(probSums_E)],
    numGroups: device.read(numGroups)[0],
  };
}

const HALF = 0x3f000000n << 32n;
const keyOf = (bits: bigint, sequence: number): bigint => bits + BigInt(2 ** 32 - 1 - sequence);

/** CHOICE-1, in numbers worked out by hand. */
export function conformChoice(test: Test, body: ConformanceBody): void {
  test(`${body.name} choice: the more probable, then the earlier sequence`, async (t) => {
    const device = await body.open();
    // Logits (0,0), (0,0), (1,-1), (-1,1).
    const [high, low] = [0.880797, 0.119203];
    const probs = [
      [0.5, 0.5],
      [0.5, 0.5],
      [high, low],
      [low, high],
    ];
    const found = await choose(device, { probs, chosen: 2 });
    t.deepEqual(found.choices, [[0, 1], [], [0], [1]]);
    t.deepEqual(found.thresholds, [keyOf(HALF, 0), keyOf(HALF, 0)]);
    t.deepEqual(found.sums, [2n ** 35n, 2n ** 35n]);
    t.is(found.numGroups, 1n);
    await device.close();
  });

  test(`${body.name} choice: padding takes no part, and fewer tokens are taken of a group that has some`, async (t) => {
    const device = await body.open();
    const probs = [[0.9], [0.5], [0.7], [0.8]];
    const found = await choose(device, { probs, valid: [0, 1, 1, 0], chosen: 2 });
    t.deepEqual(found.choices, [[], [], [0], []]);
    t.is(found.numValid, 2);
    const none = await choose(device, { probs, valid: [0, 0, 0, 0], chosen: 2 });
    t.deepEqual(none.choices, [[], [], [], []]);
    t.deepEqual(none.keys, [NO_CANDIDATE, NO_CANDIDATE]);
    t.deepEqual(none.thresholds, [TAKES_NONE]);
    t.deepEqual([none.sums, none.numGroups], [[0n], 0n]);
    await device.close();
  });

  test(`${body.name} choice: what is no probability comes last, and no more are taken for it`, async (t) => {
    const device = await body.open();
    const probs = [[Number.NaN], [0], [-0], [0.25], [-1]];
    t.deepEqual((await choose(device, { probs, chosen: 1 })).choices, [[], [], [], [0], []]);
    const found = await choose(device, { probs, chosen: 3 });
    t.deepEqual(found.choices, [[0], [0], [], [0], []]);
    t.deepEqual(found.keys, [keyOf(0x3e800000n << 32n, 3), keyOf(0n, 0), keyOf(0n, 1)]);
    await device.close();
  });

  test(`${body.name} choice: half of the valid tokens' share is rounded up`, async (t) => {
    const device = await body.open();
    const experts = 1;
    const takenOf = async (numValid: number): Promise<bigint> => {
      const thresholds = device.int64s(1);
      const keys = int64sOf(device, [40n, 30n, 20n, 10n]);
      const shape = { positions: 1, experts, take: 4, groupSequences: 256, chosen: 4, thresholds };
      await compute(device, [
        { op: 'choice.thresholds', ...shape, sources: [{ keys, numValid: intsOf(device, [numValid]) }] },
      ]);
      return device.read(thresholds)[0]!;
    };
    for (const [numValid, threshold] of [
      [256, 10n],
      [128, 30n],
      [32, 40n],
      [31, TAKES_NONE],
    ] as const)
      t.is(await takenOf(numValid), threshold, `${numValid} valid`);
    await device.close();
  });

  test(`${body.name} choice: candidates that do not suffice are an error`, async (t) => {
    const device = await body.open();
    const shape = { positions: 1, experts: 1, take: 2, groupSequences: 4, chosen: 4 };
    const errorOf = async (numValid: number) => {
      const source = { keys: int64sOf(device, [5n, 3n]), numValid: intsOf(device, [numValid]) };
      const thresholds = device.int64s(1);
      const call = { op: 'choice.thresholds', ...shape, sources: [source], thresholds } as const;
      return (await submit(device, [call])).error?.code;
    };
    t.is(await errorOf(2), undefined);
    for (const numValid of [3, 5, -1]) t.is(await errorOf(numValid), 'TROUPE_KERNEL_RANGE', `${numValid}`);
    await device.close();
  });
}
