import type { Device, DeviceArray, Ints, KernelCall, KernelOp } from '@troupe/kernel-set';
import * as fc from 'fast-check';
import { openReferenceDevice } from '../reference/reference-device.ts';
import { compute, submit, type ConformanceBody, type Test } from './body.ts';
import { allowedError, largestError } from './compare.ts';
import { intsOf } from './device-values.ts';
import { Draw } from './draw.ts';
import { operationCases } from './operation-cases.ts';

/** Arguments whose length is a dimension of its own or a capacity: shortening them is no mistake. */
const FREE_LENGTH: ReadonlySet<string> = new Set([
  'fill.out',
  'embed.forward.ids_T',
  'embed.forward.table_VD',
  'embed.backward.tableSum',
  'gather.x',
  'gather.scalars.values',
  'sum.reset.sum',
  'sum.squares.gradient',
]);

/** Sizes that no array has to match. */
const FREE_SIZE: ReadonlySet<string> = new Set([
  'rope.seqLen',
  'positions.add.seqLen',
  'jitter.seqLen',
  'gate.sample.seqLen',
  'route.select.seqLen',
]);

const SIZES = [
  'rows',
  'groups',
  'dim',
  'inDim',
  'outDim',
  'seqLen',
  'keyLen',
  'heads',
  'kvHeads',
  'headDim',
  'batch',
  'tokens',
  'experts',
  'topK',
  'ranks',
  'hidden',
  'vocab',
  'count',
  'expertStride',
  'positions',
  'take',
  'partSequences',
  'groupSequences',
  'chosen',
];

type Fields = Record<string, unknown>;

const isArray = (value: unknown): value is DeviceArray =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  typeof (value as Partial<DeviceArray>).subarray === 'function';

/** As many elements of a type that no argument accepts in this place. */
const otherType = (device: Device, array: DeviceArray): DeviceArray =>
  device.read(array) instanceof Uint8Array ? device.ints(array.length) : device.bytes(array.length);

/** Bounds whose last block is empty are good bounds without it. */
function endsEmpty(device: Device, name: string, array: DeviceArray): boolean {
  if (!name.endsWith('Starts')) return false;
  const bounds = device.read(array);
  return bounds.at(-1) === bounds.at(-2);
}

interface Mistake {
  readonly what: string;
  readonly call: KernelCall;
}

/** Every way to spoil one argument of a call: an element short, another type, absent, an invalid size. */
function mistakesOf(device: Device, call: KernelCall): Mistake[] {
  const mistakes: Mistake[] = [];
  const fields = call as unknown as Fields;
  const spoil = (what: string, changed: Fields): void => {
    mistakes.push({ what, call: { ...fields, ...changed } as unknown as KernelCall });
  };
  const nothingToDo =
    SIZES.some((name) => fields[name] === 0) ||
    call.op.startsWith('experts.') ||
    ('ids_T' in call && call.ids_T.length === 0);
  for (const [name, value] of Object.entries(fields)) {
    const path = `${call.op}.${name}`;
    if (isArray(value)) {
      spoil(`${path} of another type`, { [name]: otherType(device, value) });
      spoil(`${path} null`, { [name]: null });
      if (value.length > 0 && !FREE_LENGTH.has(path) && !endsEmpty(device, name, value))
        spoil(`${path} one short`, { [name]: value.subarray(0, value.length - 1) });
    } else if (SIZES.includes(name)) {
      for (const wrong of [-1, 1.5, Number.NaN]) spoil(`${path} = ${wrong}`, { [name]: wrong });
      if (!nothingToDo && !FREE_SIZE.has(path)) spoil(`${path} = 2^40`, { [name]: 2 ** 40 });
    } else if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const mistake of nestedMistakes(device, path, value as Fields))
        spoil(mistake.what, { [name]: mistake.value });
    } else if (Array.isArray(value) && isArray(value[0])) {
      const [first, ...others] = value as DeviceArray[];
      if (first === undefined) continue;
      spoil(`${path}[0] of another type`, { [name]: [otherType(device, first), ...others] });
      if (first.length > 0)
        spoil(`${path}[0] one short`, { [name]: [first.subarray(0, first.length - 1), ...others] });
    } else if (Array.isArray(value) && typeof value[0] === 'object') {
      for (const mistake of nestedMistakes(device, `${path}[0]`, value[0] as Fields))
        spoil(mistake.what, { [name]: [mistake.value, ...value.slice(1)] });
    }
  }
  return mistakes;
}

/** Rows, exact sums, parts and sources. */
function nestedMistakes(device: Device, path: string, value: Fields): { what: string; value: Fields }[] {
  const mistakes: { what: string; value: Fields }[] = [];
  for (const [name, inner] of Object.entries(value)) {
    if (!isArray(inner)) continue;
    mistakes.push({
      what: `${path}.${name} of another type`,
      value: { ...value, [name]: otherType(device, inner) },
    });
    const free = FREE_LENGTH.has(path) || ['x_UD', 'dOut_UD'].includes(name);
    if (inner.length > 0 && !free)
      mistakes.push({
        what: `${path}.${name} one short`,
        value: { ...value, [name]: inner.subarray(0, inner.length - 1) },
      });
  }
  if ('offset' in value) mistakes.push({ what: `${path}.offset = -1`, value: { ...value, offset: -1 } });
  if ('stride' in value)
    mistakes.push({ what: `${path}.stride = NaN`, value: { ...value, stride: Number.NaN } });
  return mistakes;
}

/** Wrong arguments become typed errors of the completion; the process lives and the device goes on working. */
export function conformErrors(test: Test, body: ConformanceBody): void {
  for (const op of Object.keys(operationCases) as KernelOp[]) {
    test(`${body.name} ${op}: refuses wrong arguments and works afterwards`, async (t) => {
      const device = await body.open();
      let numMistakes = 0;
      const property = fc.asyncProperty(operationCases[op], fc.nat(), async (shaped, seed) => {
        const calls = shaped.build(device, new Draw(seed)).calls;
        const hasContents =
          op.startsWith('experts.') || Object.keys(calls.at(-1)!).some((name) => name.endsWith('Starts'));
        for (const { what, call } of mistakesOf(device, calls.at(-1)!)) {
          const { error } = await submit(device, [...calls.slice(0, -1), call]);
          // Whether sizes or contents (bounds, counts) are looked at first is the body's affair.
          const isRange = hasContents && error?.code === 'TROUPE_KERNEL_RANGE';
          if (error?.code !== 'TROUPE_KERNEL_SHAPE' && !isRange)
            throw new RangeError(`${what}: found ${error?.code ?? 'no error'}, expected TROUPE_KERNEL_SHAPE`);
          numMistakes += 1;
        }
        const oracle = openReferenceDevice();
        const expected = shaped.build(oracle, new Draw(seed));
        const found = shaped.build(device, new Draw(seed));
        await compute(oracle, expected.calls);
        await compute(device, found.calls);
        found.outputs.forEach(({ kind, read }, i) => {
          const error = largestError(read(device), expected.outputs[i]!.read(oracle));
          if (error > allowedError(kind, body.tolerance))
            throw new RangeError(`after mistakes: error ${error}`);
        });
      });
      await fc.assert(property, { numRuns: 6, includeErrorInReport: true });
      t.log(`${numMistakes} mistakes refused`);
      t.true(numMistakes > 0);
      await device.close();
    });
  }

  test(`${body.name} errors: values out of range are typed errors, found while the list runs`, async (t) => {
    const device = await body.open();
    for (const [what, call] of outOfRange(device)) {
      const marker = device.ints(1);
      const { error } = await submit(device, [call, markCall(device, marker)]);
      t.is(error?.code, 'TROUPE_KERNEL_RANGE', what);
      t.is(device.read(marker)[0], 0, `${what}: a later call of the list ran`);
    }
    await device.close();
  });

  test(`${body.name} errors: a wrong shape late in a list keeps the whole list from running`, async (t) => {
    const device = await body.open();
    const out = device.floats(3);
    const key = [1, 2] as const;
    const good: KernelCall = { op: 'fill', out, kind: 'constant', scale: 1, key, firstIndex: 0 };
    const { error } = await submit(device, [
      good,
      { op: 'copy', from: device.floats(2), out: device.floats(3) },
    ]);
    t.is(error?.code, 'TROUPE_KERNEL_SHAPE');
    t.deepEqual([...device.read(out)], [0, 0, 0]);
    t.is(
      (await submit(device, [{ op: 'no.such.op' } as unknown as KernelCall])).error?.code,
      'TROUPE_KERNEL_SHAPE',
    );
    t.is((await submit(device, [good])).error, null);
    t.deepEqual([...device.read(out)], [1, 1, 1]);
    await device.close();
  });
}

/** Sets `marker[0]` when it runs. */
function markCall(device: Device, marker: Ints): KernelCall {
  return {
    op: 'sum.add',
    sum: { values: device.int64s(0), overflow: marker },
    other: device.int64s(0),
    otherOverflow: 1,
  };
}

function outOfRange(device: Device): [string, KernelCall][] {
  const grainStarts = intsOf(device, [0, 1]);
  const gate = {
    tokens: 1,
    experts: 2,
    topK: 1,
    renormalise: true,
    logits_TE: device.floats(2),
    probs_TE: device.floats(2),
  };
  const plan = {
    tokens: 1,
    experts: 2,
    topK: 2,
    ranks: 1,
    rankOf_E: device.ints(2),
    grainStarts,
    counts_EG: device.ints(2),
    position_TK: device.ints(2),
  };
  const lists = { slots_N: device.ints(2), choiceOfRow_N: device.ints(2), rankTokens: device.ints(1) };
  const route = { ...plan, ...lists, numTokens_R: device.ints(1), numRows_R: device.ints(1) };
  const expert = {
    experts: 1,
    dim: 2,
    hidden: 1,
    activation: 'relu' as const,
    weights: device.floats(4),
    expertStride: 4,
  };
  const source = {
    x_UD: device.floats(2),
    counts_EG: intsOf(device, [1]),
    numGrains: 1,
    y_ND: device.floats(2),
  };
  const head = {
    tokens: 1,
    dim: 2,
    vocab: 2,
    x_TD: device.floats(2),
    head_VD: device.floats(4),
    grainStarts,
  };
  const attention = {
    batch: 1,
    seqLen: 1,
    keyLen: 2,
    heads: 1,
    kvHeads: 1,
    headDim: 2,
    scale: 1,
    q: { data: device.floats(2) },
    k: { data: device.floats(4) },
    v: { data: device.floats(4) },
    out: { data: device.floats(2) },
    lse_TH: device.floats(1),
  };
  const sum = () => ({ values: device.int64s(4), overflow: device.ints(1) });
  const combine = { tokens: 1, topK: 1, dim: 2, parts: [{ firstRow: 0, rows: 1, data: device.floats(2) }] };
  return [
    [
      'id = vocab',
      {
        op: 'embed.forward',
        ids_T: intsOf(device, [2]),
        table_VD: device.floats(4),
        out_TD: device.floats(2),
        dim: 2,
      },
    ],
    [
      'id = -1',
      {
        op: 'embed.forward',
        ids_T: intsOf(device, [-1]),
        table_VD: device.floats(4),
        out_TD: device.floats(2),
        dim: 2,
      },
    ],
    [
      'id of a gradient',
      {
        op: 'embed.backward',
        ids_T: intsOf(device, [2]),
        dOut_TD: device.floats(2),
        dim: 2,
        grainStarts,
        tableSum: sum(),
      },
    ],
    [
      'index',
      {
        op: 'gather',
        rows: 1,
        dim: 2,
        x: device.floats(4),
        index: intsOf(device, [2]),
        out: device.floats(2),
      },
    ],
    [
      'scalar index',
      {
        op: 'gather.scalars',
        count: 1,
        values: device.floats(4),
        index: intsOf(device, [-1]),
        out: device.floats(2),
      },
    ],
    [
      'choice',
      {
        op: 'gate.forward',
        ...gate,
        choicesGiven: true,
        choices_TK: intsOf(device, [2]),
        weights_TK: device.floats(1),
      },
    ],
    ['choice of a plan', { op: 'route.plan', ...route, choices_TK: intsOf(device, [0, 2]) }],
    [
      'rank of an expert',
      { op: 'route.plan', ...route, rankOf_E: intsOf(device, [0, 1]), choices_TK: intsOf(device, [0, 1]) },
    ],
    ['position', { op: 'combine', ...combine, position_TK: intsOf(device, [1]), out_TD: device.floats(2) }],
    ['slot', { op: 'experts.forward', ...expert, sources: [{ ...source, slots_N: intsOf(device, [1]) }] }],
    [
      'start behind a row',
      {
        op: 'positions.add',
        rows: 1,
        seqLen: 1,
        dim: 2,
        out_TD: device.floats(2),
        table_SD: device.floats(2),
        firstSeen_T: intsOf(device, [1]),
      },
    ],
    ['end of a view', { op: 'attention.forward', ...attention, endSeen_T: intsOf(device, [3]) }],
    [
      'grain within a sequence',
      {
        op: 'attention.backward',
        ...attention,
        batch: 1,
        seqLen: 2,
        q: { data: device.floats(4) },
        out: { data: device.floats(4) },
        lse_TH: device.floats(2),
        endSeen_T: intsOf(device, [2, 2]),
        bias: { table_BH: device.floats(2), buckets: 2, bidirectional: false, maxDistance: 2 },
        biasSum: { values: device.int64s(2), overflow: device.ints(1) },
        grainStarts: intsOf(device, [0, 1, 2]),
        dOut: { data: device.floats(4) },
        dq: { data: device.floats(4) },
        dk: { data: device.floats(4) },
        dv: { data: device.floats(4) },
      },
    ],
    ['end before all keys', { op: 'attention.forward', ...attention, endSeen_T: intsOf(device, [-1]) }],
    [
      'start of a view',
      {
        op: 'attention.forward',
        ...attention,
        firstSeen_T: intsOf(device, [-1]),
        endSeen_T: intsOf(device, [2]),
      },
    ],
    [
      'target',
      {
        op: 'head.loss',
        ...head,
        targets_T: intsOf(device, [2]),
        loss_T: device.floats(1),
        lossSum: device.int64s(2),
      },
    ],
  ];
}
