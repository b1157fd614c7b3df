import test from 'ava';
import { messages } from '@troupe/actors';
import { address } from '@troupe/core';
import { openReferenceDevice } from '@troupe/kernels';
import { openFarDevice } from '@troupe/kernels/far';
import { Layout, resolveTopology, type ResolvedTopology } from '@troupe/topology';
import { createCodec } from '@troupe/wire';
import { plantedBugs } from './planted-bugs.ts';
import { crash, numbersOf, simulateTiny, withCheckpoints } from './struck-tiny.ts';
import { tinyTopology, trainTiny, type TinyLayout } from './tiny-cluster.ts';

const openDevice = async () => openReferenceDevice({ dtype: 'f32' });

/** What divides the work beyond what a tiny layout says. */
interface Over {
  readonly parallel?: object;
  readonly train?: object;
  readonly placement?: Readonly<Record<string, string>>;
  readonly numDevices?: number;
}

function topologyOf(tiny: TinyLayout, { parallel = {}, train = {}, placement = {}, numDevices }: Over) {
  const { file } = tinyTopology(tiny);
  return resolveTopology({
    ...file,
    parallel: { ...file.parallel, ...parallel },
    train: { ...file.train, ...train },
    placement,
    ...(numDevices === undefined
      ? {}
      : { machines: [{ devices: Array.from({ length: numDevices }, (_, index) => `cpu:${index}`) }] }),
  });
}

/** The same with as small chunks as make `count` of them. */
function chunked(tiny: TinyLayout, over: Over, count: number): ResolvedTopology {
  const { dp, microbatches = 1, rows = 'f32', grains = 8 } = tiny;
  const { model } = topologyOf(tiny, over);
  const tokens = (grains / dp / microbatches) * model.seqLen;
  const visits = tokens * Math.min(topologyOf(tiny, over).parallel.ep, model.moe?.topK ?? 0);
  const bytes = visits * model.dModel * (rows === 'bf16' ? 2 : 4);
  return topologyOf({ ...tiny, chunkBytes: Math.ceil(bytes / count) }, over);
}

type Row = readonly [name: string, tiny: TinyLayout, over: Over, chunks: readonly number[]];

const rows: readonly Row[] = [
  ['ep 2', { dp: 2, ep: 2 }, {}, [2, 4]],
  ['ep 4, all rows to some experts', { dp: 4, ep: 4, choice: 'skewed' }, {}, [2]],
  ['ep 2, three chunks of four grains', { dp: 2, ep: 2, sharedExperts: 1, scope: 'global' }, {}, [3]],
  ['dp 4, ep 2, buddies', { dp: 4, ep: 2, buddies: true }, {}, [2]],
  ['ep 2, two microbatches under way', { dp: 2, ep: 2, microbatches: 2 }, {}, [2]],
  ['pp 2, dp 2, ep 2', { dp: 2, ep: 2, pp: 2, microbatches: 2 }, {}, [2]],
  ['ZeRO 2', { dp: 4, ep: 2, zero: 2 }, {}, [2]],
  ['ZeRO 3', { dp: 4, ep: 2, zero: 3 }, {}, [2]],
  ['ZeRO 3, two microbatches', { dp: 2, ep: 2, zero: 3, microbatches: 2 }, {}, [2]],
  ['offload', { dp: 2, ep: 2, zero: 2, offload: true }, {}, [4]],
  [
    'zero-bubble',
    { dp: 2, ep: 2, microbatches: 2 },
    { numDevices: 4, parallel: { pp: 2, pipeline: 'zero-bubble' } },
    [2],
  ],
  [
    'recomputation, zero-bubble',
    { dp: 2, ep: 2, microbatches: 2 },
    { numDevices: 4, parallel: { pp: 2, pipeline: 'zero-bubble' }, train: { recompute: 'layer' } },
    [2],
  ],
  [
    'experts apart',
    { dp: 2, ep: 1 },
    { numDevices: 3, placement: { 'expert/*': 'localhost/cpu:2' } },
    [2, 4],
  ],
  [
    'experts apart, two groups, two microbatches',
    { dp: 2, ep: 1, microbatches: 2 },
    {
      numDevices: 4,
      parallel: { ep: 2 },
      placement: { 'expert/*/ep0/*': 'localhost/cpu:2', 'expert/*/ep1/*': 'localhost/cpu:3' },
    },
    [2],
  ],
];

const numbersIn = async (topology: ResolvedTopology) => {
  const { result, hashes } = await trainTiny(topology, openDevice);
  return { error: result.error, hashes };
};

for (const [name, tiny, over, chunks] of rows)
  test(`row chunks: ${name}: the numbers of one process, bit for bit`, async (t) => {
    const { choice = 'learned', scope = 'sequence', sharedExperts = 0 } = tiny;
    const expected = await numbersIn(tinyTopology({ dp: 1, ep: 1, choice, scope, sharedExperts }));
    for (const count of chunks) {
      const topology = chunked(tiny, over, count);
      t.is(new Layout(topology).rowChunks, count);
      t.deepEqual(await numbersIn(topology), expected, `${count} chunks`);
    }
  });

test('row chunks: so with rows in bf16, and with products in bf16', async (t) => {
  for (const format of [{ rows: 'bf16' }, { precision: 'bf16' }] as const) {
    const expected = await numbersIn(tinyTopology({ dp: 1, ep: 1, ...format }));
    for (const count of [1, 2, 4])
      t.deepEqual(await numbersIn(chunked({ dp: 2, ep: 2, ...format }, {}, count)), expected);
  }
});

test('row chunks: so where tensor peers have parts of the experts, or whole ones', async (t) => {
  const segments = { train: { tensorSegments: 2 } };
  const expected = await numbersIn(topologyOf({ dp: 1, ep: 1 }, segments));
  const peers: Over = { ...segments, numDevices: 4, parallel: { tp: 2 } };
  t.deepEqual(await numbersIn(chunked({ dp: 2, ep: 2 }, peers, 2)), expected);
  const whole: Over = { ...peers, parallel: { tp: 2, expertsSliced: false } };
  t.deepEqual(await numbersIn(chunked({ dp: 2, ep: 2 }, whole, 4)), expected, 'each sends some grains');
});

test('row chunks: so on devices whose memory nobody else can see', async (t) => {
  const expected = await numbersIn(tinyTopology({ dp: 1, ep: 1 }));
  const run = await trainTiny(chunked({ dp: 2, ep: 2 }, {}, 4), async () => openFarDevice({ dtype: 'f32' }));
  t.is(run.result.error, null);
  t.deepEqual(run.hashes, expected.hashes);
});

test('row chunks: EXP-5, one that overtakes another, or comes twice, ends the run and says which', async (t) => {
  const topology = tinyTopology({ dp: 2, ep: 2, steps: 2, chunkBytes: 1 });
  const codec = createCodec({ kinds: new Set(Object.keys(messages)) });
  const overtakes = await simulateTiny(topology, {
    alter: (packet) => {
      const { message, incarnation } = codec.decodeMessage(packet);
      const chunk = ({ 1: 2, 2: 1 } as Readonly<Record<number, number>>)[Number(message.body['chunk'])];
      if (message.kind !== 'rows.dispatch' || chunk === undefined) return packet;
      return codec.encodeMessage({ ...message, body: { ...message.body, chunk } }, incarnation);
    },
  });
  t.is(overtakes.result.error?.code, 'TROUPE_INVARIANT');
  t.regex(
    overtakes.result.error?.message ?? '',
    /expert\/L\d.*no chunk overtakes another one of its source/u,
  );
  const twice = await simulateTiny(topology, {
    faults: [{ kind: 'delay', target: 'worker/0,worker/1', atStep: 1, forMs: 400 }],
    plant: plantedBugs['an arrival into a slot that is taken'] ?? {},
  });
  t.is(twice.result.error?.code, 'TROUPE_INVARIANT');
  t.regex(twice.result.error?.message ?? '', /expert\/L\d.*the place of an arrival is free/u);
});

test('row chunks: a worker is lost between two chunks, the curve is the same', async (t) => {
  const topology = withCheckpoints({ dp: 2, ep: 2, chunkBytes: 1 });
  const clean = await simulateTiny(topology);
  t.is(clean.result.error, null);
  for (const state of ['serving.forwarding', 'serving.backwarding']) {
    // The second time it is the first of four chunks that is computed.
    const when = { actor: 'expert/L1/ep1/edp0', state, times: 2 };
    const struck = await simulateTiny(topology, { faults: [crash(1, when)] });
    t.is(struck.result.error, null);
    t.is(struck.violation, null);
    t.is(struck.struck.length, 1);
    t.deepEqual(numbersOf(struck), numbersOf(clean));
  }
});

test('row chunks: an expert computes one while the next is on its way', async (t) => {
  const topology = tinyTopology({ dp: 2, ep: 2, steps: 1, chunkBytes: 1 });
  const [expert, gate] = [address('expert/L0/ep1/edp0'), address('gate/L0/pp0/dp0')];
  const arrived: number[] = [];
  const computed: number[] = [];
  const { result } = await simulateTiny(topology, {
    link: { latencyMs: 0.1, jitterMs: 0, bytesPerMs: 1e3 },
    speed: { flopsPerMs: 1e6, launchMs: 0 },
    observe: ({ event, address: at }, atMs) => {
      if (at !== expert) return;
      if (event.type === 'rows.dispatch' && event.from === gate) arrived.push(atMs);
      if (event.type === 'experts.forwarded') computed.push(atMs);
    },
  });
  t.is(result.error, null);
  t.log({ arrived: arrived.slice(0, 4), computed: computed.slice(0, 4) });
  t.is(arrived.length, 8, 'four of the step, four of the evaluation');
  t.is(computed.length, 8);
  for (const chunk of [0, 1, 2])
    t.true(
      (computed[chunk] ?? 0) < (arrived[chunk + 1] ?? 0),
      `chunk ${chunk} is through before the next comes`,
    );
});

test('row chunks: a step is shorter with them in virtual time', async (t) => {
  const stepMs = async (chunkBytes: number): Promise<number> => {
    const { events, result } = await simulateTiny(tinyTopology({ dp: 2, ep: 2, steps: 1, chunkBytes }), {
      link: { latencyMs: 0.01, jitterMs: 0, bytesPerMs: 1e4 },
      speed: { flopsPerMs: 1e5, launchMs: 0 },
    });
    t.is(result.error, null);
    const [step] = events.filter((event) => event.event === 'step');
    return step === undefined ? Number.NaN : (1000 * step.tokens) / step.tokensPerSecond;
  };
  const [atOnce, inChunks] = [await stepMs(2 ** 20), await stepMs(1)];
  t.log(`${atOnce.toFixed(3)} ms at once, ${inChunks.toFixed(3)} ms in four chunks`);
  t.true(inChunks < atOnce);
});
