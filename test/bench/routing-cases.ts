import { prng } from '@troupe/core';
import type { Device, Floats, Ints, KernelCall } from '@troupe/kernel-set';
import { median } from './median.ts';

/** An operation of routing at one size. */
export interface RoutingRow {
  readonly op: KernelCall['op'];
  readonly shape: string;
  readonly unit: 'token × expert' | 'row';
  readonly ms: number;
  /** For each unit; alike at all sizes of an operation that is linear in them. */
  readonly nsPerUnit: number;
}

interface RoutingCase {
  readonly call: KernelCall;
  readonly shape: string;
  readonly unit: RoutingRow['unit'];
  readonly units: number;
}

const SEQ_LEN = 128;
const GROUP = 32;

/** Uniform in [0, 1), as logits or as probabilities: to both operations only their order matters. */
function drawn(device: Device, length: number): Floats {
  const bits = prng({ seed: 1, purpose: 'bench.routing' });
  const data = device.floats(length);
  device.write(
    data,
    Float32Array.from({ length }, (_, i) => bits.uniform(i)),
  );
  return data;
}

/** The top K of every token, and the choice of the experts: in tokens × experts. */
function choosing(device: Device, tokens: number, experts: number, topK: number): readonly RoutingCase[] {
  const scores = drawn(device, tokens * experts);
  const shape = { tokens, experts };
  const gate: KernelCall = {
    op: 'gate.forward',
    ...shape,
    topK,
    renormalise: false,
    choicesGiven: false,
    logits_TE: scores,
    probs_TE: device.floats(tokens * experts),
    choices_TK: device.ints(tokens * topK),
    weights_TK: device.floats(tokens * topK),
  };
  const chosen = Math.max(1, Math.round((GROUP * topK) / experts));
  const [numGroups, perGroup] = [tokens / SEQ_LEN / GROUP, SEQ_LEN * experts];
  const parts = { seqLen: SEQ_LEN, partSequences: GROUP, groupSequences: GROUP, firstSequence: 0 };
  const positions = numGroups * SEQ_LEN;
  const [keys, numValid] = [device.int64s(numGroups * perGroup * chosen), device.ints(positions)];
  const thresholds = device.int64s(numGroups * perGroup);
  const choices_TE = device.ints(tokens * experts);
  const unit = 'token × expert';
  const units = tokens * experts;
  const of = (call: KernelCall, text: string): RoutingCase => ({ call, shape: text, unit, units });
  const text = `${tokens}×${experts}, ${chosen} of ${GROUP} each`;
  return [
    of(gate, `${tokens}×${experts} top ${topK}`),
    of({ op: 'choice.candidates', ...shape, ...parts, probs_TE: scores, take: chosen, keys, numValid }, text),
    of(
      {
        op: 'choice.thresholds',
        positions,
        experts,
        take: chosen,
        sources: [{ keys, numValid }],
        groupSequences: GROUP,
        chosen,
        thresholds,
      },
      text,
    ),
    of({ op: 'choice.take', ...shape, ...parts, probs_TE: scores, thresholds, choices_TE }, text),
  ];
}

/** Distinct experts of each token. */
function choicesOf(device: Device, tokens: number, experts: number, topK: number): Ints {
  const bits = prng({ seed: 2, purpose: 'bench.routing' });
  const stride = experts / topK;
  return device.upload(
    Int32Array.from({ length: tokens * topK }, (_, i) =>
      Math.floor((i % topK) * stride + bits.uniform(i) * stride),
    ),
  );
}

/** The histogram with its permutation, and rows that move: in rows. */
function moving(device: Device, tokens: number, experts: number, topK: number): readonly RoutingCase[] {
  const dim = 64;
  const rows = tokens * topK;
  const grains = 8;
  const position_TK = device.ints(rows);
  const choiceOfRow_N = device.ints(rows);
  const plan: KernelCall = {
    op: 'route.plan',
    tokens,
    experts,
    topK,
    ranks: 1,
    rankOf_E: device.ints(experts),
    choices_TK: choicesOf(device, tokens, experts, topK),
    grainStarts: device.upload(Int32Array.from({ length: grains + 1 }, (_, g) => (g * tokens) / grains)),
    counts_EG: device.ints(experts * grains),
    position_TK,
    slots_N: device.ints(rows),
    choiceOfRow_N,
    rankTokens: device.ints(tokens),
    numTokens_R: device.ints(1),
    numRows_R: device.ints(1),
  };
  const data = device.floats(rows * dim);
  const values = drawn(device, rows);
  const combine: KernelCall = {
    op: 'combine',
    tokens,
    topK,
    dim,
    parts: [{ firstRow: 0, rows, data }],
    position_TK,
    weights_TK: values,
    out_TD: device.floats(tokens * dim),
  };
  const scalars: KernelCall = {
    op: 'gather.scalars',
    count: rows,
    values,
    index: choiceOfRow_N,
    out: device.floats(rows),
  };
  const shape = `${rows} rows, ${tokens}×${experts} top ${topK}`;
  return [plan, scalars, combine].map((call) => ({ call, shape, unit: 'row', units: rows }));
}

const timed = (device: Device, call: KernelCall): Promise<number> =>
  new Promise((resolve, reject) =>
    device.submit([call], ({ error, kernelMs }) => (error === null ? resolve(kernelMs) : reject(error))),
  );

/** Operations of routing at sizes that differ by fours: what a unit costs should not. */
export async function benchRouting(
  device: Device,
  size: 'small' | 'full',
  rounds: number,
): Promise<readonly RoutingRow[]> {
  const tokens = GROUP * SEQ_LEN;
  const chosen = (of: readonly (readonly [number, number, number])[], make: typeof choosing) =>
    of.flatMap(([count, experts, topK]) => make(device, count, experts, topK));
  const cases =
    size === 'full'
      ? [
          ...chosen(
            [
              [tokens, 64, 8],
              [tokens, 256, 8],
              [tokens, 1024, 8],
              [tokens, 1024, 1],
              [tokens, 1024, 32],
              [4 * tokens, 256, 8],
            ],
            choosing,
          ),
          ...chosen(
            [
              [1024, 64, 8],
              [4096, 64, 8],
              [16_384, 64, 8],
              [16_384, 1024, 8],
              [4096, 1024, 32],
            ],
            moving,
          ),
        ]
      : [...chosen([[tokens, 64, 8]], choosing), ...chosen([[1024, 64, 8]], moving)];
  const times = cases.map((): number[] => []);
  for (let round = -1; round < rounds; round++)
    for (const [index, { call }] of cases.entries()) {
      const ms = await timed(device, call);
      if (round >= 0) times[index]?.push(ms);
    }
  const rows = cases.map(({ call, shape, unit, units }, index): RoutingRow => {
    const ms = median(times[index] ?? []);
    return { op: call.op, shape, unit, ms, nsPerUnit: (1e6 * ms) / units };
  });
  const ops = [...new Set(rows.map(({ op }) => op))];
  return ops.flatMap((op) => rows.filter((row) => row.op === op));
}
