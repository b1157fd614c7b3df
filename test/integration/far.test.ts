// Serial: each run has deadlines of its own, which many at once could pass on a busy machine.
import test from 'ava';
import { openReferenceDevice } from '@troupe/kernels';
import { farDevice, openFarDevice, type Copies, type FarDevice } from '@troupe/kernels/far';
import { denseUnits, expertUnits, flatLayout, moeLayers, type ModelConfig } from '@troupe/spec';
import type { Device } from '@troupe/kernel-set';
import type { ClusterOptions } from 'troupe';
import { crash, numbersOf, simulateTiny, withCheckpoints } from './struck-tiny.ts';
import { tinyTopology, trainTiny, type TinyLayout, type TinyRun } from './tiny-cluster.ts';

/** Every device of a run, its memory out of reach. */
async function trainFar(
  layout: TinyLayout,
  options: Pick<ClusterOptions, 'gate'> = {},
): Promise<{ readonly run: TinyRun; readonly devices: readonly FarDevice[] }> {
  const devices: FarDevice[] = [];
  const open = async (): Promise<Device> => {
    const device = openFarDevice({ dtype: 'f32' });
    devices.push(device);
    return device;
  };
  const run = await trainTiny(tinyTopology(layout), open, options);
  return { run, devices };
}

const layouts: readonly TinyLayout[] = [
  { dp: 1, ep: 1 },
  { dp: 1, ep: 1, microbatches: 2, choice: 'skewed' },
  { dp: 2, ep: 1, scope: 'global', sharedExperts: 1 },
  { dp: 2, ep: 2, precision: 'bf16' },
  { dp: 4, ep: 2, zero: 0 },
  { dp: 4, ep: 2, microbatches: 2, fanout: 2 },
  { dp: 4, ep: 4, buddies: true },
];

for (const layout of layouts)
  test.serial(
    `far: ${JSON.stringify(layout)} has the numbers of the reference body, bit for bit`,
    async (t) => {
      const near = await trainTiny(tinyTopology(layout), async () => openReferenceDevice({ dtype: 'f32' }));
      const { run } = await trainFar(layout);
      t.is(run.result.error, null);
      t.deepEqual(run.hashes, near.hashes);
    },
  );

test.serial(
  'far: a run that loses workers, at any time, has the numbers of one that loses none',
  async (t) => {
    const layout: TinyLayout = { dp: 4, ep: 2, buddies: true };
    const topology = withCheckpoints(layout);
    const clean = await simulateTiny(topology, { checkpoints: true });
    for (const faults of [
      [crash(3, { actor: 'gate/L1/pp0/dp3', state: 'awaitingRows', times: 2 })],
      [crash(1, { actor: 'trainer', state: 'committing', times: 3 })],
      // Both that hold a state: all go back to the checkpoint.
      [0, 1, 2, 3].map((worker) => crash(worker, 4)),
    ]) {
      const struck = await simulateTiny(topology, {
        checkpoints: true,
        faults,
        plant: { memory: (device) => farDevice(device) },
      });
      t.is(struck.result.error, null);
      t.is(struck.struck.length, faults.length);
      t.deepEqual(numbersOf(struck), numbersOf(clean));
    }
  },
);

const plus = (a: Copies, b: Copies): Copies => ({ count: a.count + b.count, bytes: a.bytes + b.bytes });
const minus = (a: Copies, b: Copies): Copies => ({ count: a.count - b.count, bytes: a.bytes - b.bytes });
const times = (n: number, { count, bytes }: Copies): Copies => ({ count: n * count, bytes: n * bytes });
const nothing: Copies = { count: 0, bytes: 0 };
const one = (bytes: number): Copies => ({ count: 1, bytes });

interface StepCopies {
  readonly reads: Copies;
  readonly writes: Copies;
}

/** What all devices of a run together copy in one step: the fourth, which a run of four steps has more than one of three. */
async function copiesOfStep(layout: TinyLayout, options?: Pick<ClusterOptions, 'gate'>): Promise<StepCopies> {
  const [three, four] = await Promise.all(
    [3, 4].map(async (steps) => {
      const { devices } = await trainFar({ ...layout, steps }, options);
      const sum = (of: (device: FarDevice) => Copies): Copies => devices.map(of).reduce(plus, nothing);
      return { reads: sum(({ reads }) => reads), writes: sum(({ writes }) => writes) };
    }),
  );
  if (three === undefined || four === undefined) throw new TypeError('two runs');
  return { reads: minus(four.reads, three.reads), writes: minus(four.writes, three.writes) };
}

/** Tokens of a global batch, those that are padding, and how many microbatches of a worker have any. */
const TOKENS = 64;
const PADDING = 3;

interface Sizes {
  readonly model: ModelConfig;
  readonly layers: number;
  readonly E: number;
  readonly K: number;
  readonly D: number;
  /** Microbatches of all workers, and tokens of one. */
  readonly passes: number;
  readonly T: number;
}

function sizesOf(layout: TinyLayout): Sizes {
  const { model } = tinyTopology(layout);
  const passes = layout.dp * (layout.microbatches ?? 1);
  const { experts: E, topK: K } = model.moe ?? { experts: 0, topK: 0 };
  const layers = moeLayers(model).length;
  return { model, layers, E, K, D: model.dModel, passes, T: TOKENS / passes };
}

/** What every layout copies: tokens in; plans, norms, flags and statistics out. */
function always({ dp, ep }: TinyLayout, { layers, E, passes, T }: Sizes): StepCopies {
  const plan = times(2, one(4 * ep));
  const votes = times(2, plus(one(16), one(4)));
  // Choices of each expert, and how many were dropped.
  const counts = one(4 * layers * (E + 1));
  const statistics = plus(one(8 * (2 + layers * (4 + 2 * E))), counts);
  const tokens = { count: 4, bytes: 13 * T };
  return {
    reads: plus(times(passes * layers, plan), times(dp, plus(votes, statistics))),
    writes: times(passes, tokens),
  };
}

/** With one rank experts read tokens in place; where some have no expert, their slots come from the choices. */
function slotsFromChoices({ layers, K, T }: Sizes): StepCopies {
  const rows = times(layers, one(4 * K * (T - PADDING)));
  return { reads: rows, writes: rows };
}

const added = (all: readonly StepCopies[]): StepCopies => ({
  reads: all.map(({ reads }) => reads).reduce(plus, nothing),
  writes: all.map(({ writes }) => writes).reduce(plus, nothing),
});

for (const microbatches of [1, 2])
  test.serial(
    `far: a step of one worker and ${microbatches} microbatches copies tokens, counts and choices, and no activation`,
    async (t) => {
      const layout: TinyLayout = { dp: 1, ep: 1, microbatches };
      const sizes = sizesOf(layout);
      const found = await copiesOfStep(layout);
      t.deepEqual(found, added([always(layout, sizes), slotsFromChoices(sizes)]));
      t.true(found.reads.bytes < 4 * sizes.T * sizes.D, 'less than one activation of one layer');
      t.log(`read ${JSON.stringify(found.reads)}, written ${JSON.stringify(found.writes)}`);
    },
  );

test.serial('far: a gate that looks at logits shows in what is copied', async (t) => {
  const layout: TinyLayout = { dp: 1, ep: 1 };
  const { layers, E, K, T } = sizesOf(layout);
  const gate: ClusterOptions['gate'] = {
    name: 'in turn',
    choose: (_logits, { tokens, topK, experts }) =>
      Int32Array.from({ length: tokens * topK }, (_, index) => index % experts),
  };
  const [plain, own] = [await copiesOfStep(layout), await copiesOfStep(layout, { gate })];
  // Logits and padding out, choices in.
  t.deepEqual(minus(own.reads, plain.reads), times(layers, plus(one(4 * T * E), one(T))));
  t.deepEqual(minus(own.writes, plain.writes), times(layers, one(4 * T * K)));
});

/** Gradients and new weights that `holders` workers exchange in one level, over all of them: each part is read once, and sent to all others. */
function exchanged(holders: number, groups: number, length: number): StepCopies {
  const others = holders - 1;
  return {
    reads: times(groups, { count: 0, bytes: (8 * others + 4) * length }),
    writes: times(groups, { count: 0, bytes: 12 * others * length }),
  };
}

test.serial(
  'far: two workers with all experts each also copy gradients and weights, and no activation',
  async (t) => {
    const layout: TinyLayout = { dp: 2, ep: 1 };
    const sizes = sizesOf(layout);
    const { model, layers } = sizes;
    const lengths = [
      flatLayout(denseUnits(model)),
      flatLayout(moeLayers(model).flatMap((layer) => expertUnits(model, layer))),
    ].map(({ length }) => length);
    const found = await copiesOfStep(layout);
    const expected = added([
      always(layout, sizes),
      slotsFromChoices(sizes),
      ...lengths.map((length) => exchanged(2, 1, length)),
    ]);
    t.deepEqual(found.writes.bytes, expected.writes.bytes);
    // A flag for each bucket of each worker that holds something of the other's.
    const buckets = 2 * (layers + 2 + layers);
    const flags = found.reads.bytes - expected.reads.bytes;
    t.true(flags > 0 && flags <= 4 * buckets, `${flags} bytes of flags`);
    t.true(found.reads.count <= expected.reads.count + 2 * buckets + 4, `${found.reads.count} reads`);
    t.true(found.writes.count <= expected.writes.count + buckets + 4, `${found.writes.count} writes`);
    t.log(`read ${JSON.stringify(found.reads)}, written ${JSON.stringify(found.writes)}`);
  },
);

test.serial(
  'far: experts elsewhere get rows, and send rows back: each is copied once on either side',
  async (t) => {
    const layout: TinyLayout = { dp: 2, ep: 2 };
    const sizes = sizesOf(layout);
    const { model, layers, E, K, D } = sizes;
    const found = await copiesOfStep(layout);
    const base = added([always(layout, sizes), exchanged(2, 1, flatLayout(denseUnits(model)).length)]);
    // Two gates a layer, each with one expert group elsewhere. Forward: x, slots and counts there, y back; backward: dOut and weights there, dx back.
    const frames = 2 * layers * 7;
    const buckets = 2 * (layers + 2);
    const tokens = TOKENS - PADDING;
    const most = layers * (2 * 4 * D * tokens + K * tokens * (4 + 4 + 2 * 4 * D) + 4 * E * model.layers * 8);
    t.true(found.reads.count <= base.reads.count + frames + 2 * buckets + 2, `${found.reads.count} reads`);
    t.true(found.writes.count <= base.writes.count + frames + buckets + 2, `${found.writes.count} writes`);
    const rowsRead = found.reads.bytes - base.reads.bytes;
    const rowsWritten = found.writes.bytes - base.writes.bytes;
    t.true(rowsRead > 0 && rowsRead <= most + 4 * buckets, `${rowsRead} of at most ${most}`);
    t.true(rowsWritten > 0 && rowsWritten <= most, `${rowsWritten} of at most ${most}`);
    t.true(Math.abs(rowsRead - rowsWritten) <= 4 * buckets, 'what one side reads the other writes');
    t.log(`read ${JSON.stringify(found.reads)}, written ${JSON.stringify(found.writes)}`);
  },
);
