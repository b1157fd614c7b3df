import test from 'ava';
import { withoutQueue, type Device } from '@troupe/kernel-set';
import { openReferenceDevice } from '@troupe/kernels';
import { openFarDevice } from '@troupe/kernels/far';
import { bucketsCredited } from '@troupe/sim';
import type { ResolvedTopology } from '@troupe/topology';
import {
  BUCKET_ROOMS,
  GroupExchange,
  Layout,
  roomsFor,
  WEIGHT_ROOMS,
  workerRank,
} from '@troupe/topology/layout';
import { referenceOf } from 'troupe';
import { plantedBugs } from './planted-bugs.ts';
import { crash, numbersOf, simulateTiny, withCheckpoints } from './struck-tiny.ts';
import { tinyTopology, trainTiny, type TinyLayout } from './tiny-cluster.ts';

const reference = async (): Promise<Device> => openReferenceDevice({ dtype: 'f32' });
const nameOf = (layout: TinyLayout): string => JSON.stringify(layout).replaceAll('"', '');

/** A deeper model, so that a window is a small part of it. */
const deep = (layout: TinyLayout, layers = 8): ResolvedTopology => {
  const topology = tinyTopology(layout);
  return { ...topology, model: { ...topology.model, layers } };
};

const layouts: readonly TinyLayout[] = ([2, 3] as const).flatMap((zero) => [
  { dp: 2, ep: 1, zero },
  { dp: 2, ep: 2, zero, microbatches: 2 },
  { dp: 2, ep: 1, zero, microbatches: 4 },
  { dp: 4, ep: 2, zero, microbatches: 2 },
  { dp: 4, ep: 4, zero },
  { dp: 4, ep: 1, zero, fanout: 2, microbatches: 2 },
  { dp: 8, ep: 2, zero, fanout: 2 },
]);

test(`zero: ${layouts.length} layouts of ZeRO 2 and 3 have the numbers of one process, bit for bit`, async (t) => {
  const expected = await trainTiny(tinyTopology({ dp: 1, ep: 1 }), reference);
  for (const layout of layouts) {
    const run = await trainTiny(tinyTopology(layout), reference);
    t.is(run.result.error, null, nameOf(layout));
    t.deepEqual(run.hashes, expected.hashes, nameOf(layout));
  }
});

test('zero: so in bf16, with a balance over the whole batch and shared experts, and a tied head', async (t) => {
  const tied = (layout: TinyLayout): ResolvedTopology => {
    const topology = tinyTopology(layout);
    return { ...topology, model: { ...topology.model, tiedHead: true } };
  };
  const variants: readonly (readonly [(layout: TinyLayout) => ResolvedTopology, Partial<TinyLayout>])[] = [
    [tinyTopology, { precision: 'bf16' }],
    [tinyTopology, { scope: 'global', sharedExperts: 1 }],
    [tied, { microbatches: 2 }],
  ];
  for (const [topologyOf, changes] of variants) {
    const expected = await trainTiny(topologyOf({ ...changes, dp: 1, ep: 1 }), reference);
    for (const zero of [2, 3] as const) {
      const layout = { ...changes, dp: 4, ep: 2, zero };
      const run = await trainTiny(topologyOf(layout), reference);
      t.is(run.result.error, null, nameOf(layout));
      t.deepEqual(run.hashes, expected.hashes, nameOf(layout));
    }
  }
});

test('zero: so on devices whose memory nobody else can see', async (t) => {
  const expected = await trainTiny(tinyTopology({ dp: 1, ep: 1 }), reference);
  for (const zero of [2, 3] as const) {
    const run = await trainTiny(tinyTopology({ dp: 2, ep: 1, zero, microbatches: 2 }), async () =>
      openFarDevice({ dtype: 'f32' }),
    );
    t.is(run.result.error, null);
    t.deepEqual(run.hashes, expected.hashes);
  }
});

/** A device that counts bytes of floats and exact sums, which are all that states of parameters and buckets are made of. */
function counting(device: Device): { readonly device: Device; readonly bytes: () => number } {
  let bytes = 0;
  const count =
    <A>(each: number, make: (length: number) => A) =>
    (length: number): A => {
      bytes += each * length;
      return make(length);
    };
  return {
    device: {
      ...withoutQueue(device),
      submit: (calls, done) => device.submit(calls, done),
      floats: count(4, (length) => device.floats(length)),
      int64s: count(8, (length) => device.int64s(length)),
    },
    bytes: () => bytes,
  };
}

/** What README says that a worker holds of its parameters, their moments, sums and buckets. */
function stateBytes(topology: ResolvedTopology, rank: number): number {
  const layout = new Layout(topology);
  const { zero } = layout;
  return layout.groupsOf(workerRank(rank)).reduce((sum, group) => {
    const n = group.flat.length;
    const { from, to } = new GroupExchange(group, workerRank(rank)).slice;
    const slice = zero === 0 ? n : to - from;
    const all = (lengths: readonly number[]): number => lengths.reduce((total, each) => total + each, 0);
    const [window, buckets] = [WEIGHT_ROOMS, BUCKET_ROOMS].map((most) => all(roomsFor(group.segments, most)));
    const isAlone = group.holders.count === 1;
    const weights = layout.isGathered(group) ? 4 * (slice + (window ?? 0)) : 8 * n;
    if (isAlone) return sum + weights + 4 * n + 8 * n;
    const gradients = layout.hasCourier(group) ? 8 * (slice + (buckets ?? 0)) : 8 * n;
    return sum + weights + gradients + 8 * slice;
  }, 0);
}

test('zero: what devices hold of the states of parameters falls from ZeRO 0 to 3 as README says, to the byte', async (t) => {
  for (const { dp, ep } of [
    { dp: 4, ep: 1 },
    { dp: 4, ep: 2 },
  ]) {
    const held: number[] = [];
    const others: number[] = [];
    for (const zero of [0, 1, 2, 3] as const) {
      const topology = deep({ dp, ep, zero, steps: 2 });
      const counters: ReturnType<typeof counting>[] = [];
      const run = await trainTiny(topology, async () => {
        const counter = counting(openReferenceDevice({ dtype: 'f32' }));
        counters.push(counter);
        return counter.device;
      });
      t.is(run.result.error, null);
      const bytes = counters[1]?.bytes() ?? 0;
      held.push(stateBytes(topology, 1));
      others.push(bytes - stateBytes(topology, 1));
    }
    t.log(`dp ${dp}, ep ${ep}: ${held.join(', ')} bytes, and ${others[0]} of activations`);
    t.deepEqual(
      others,
      Array.from(others, () => others[0] ?? 0),
      'all else is the same',
    );
    t.deepEqual(
      held,
      [...held].toSorted((a, b) => b - a),
    );
    t.true((held[3] ?? 0) < 0.65 * (held[1] ?? 0), 'a window of two layers of eight');
  }
});

/** Questions about one segment arrive within so many milliseconds. */
const SPREAD_MS = 0.1;

/** A stretch of virtual time of one worker. */
interface Stretch {
  readonly layer: number;
  readonly start: number;
  readonly end: number;
}

/** When a worker computed each layer in the second step, and when the weights of each were on their way to it. */
async function gathersOf(
  layers: number,
): Promise<{ computed: readonly Stretch[]; gathered: readonly Stretch[] }> {
  const [pass, courier] = ['pass/pp0/dp1/tp0/s0', 'courier/dense/dp1'];
  const computed: Stretch[] = [];
  const gathered: Stretch[] = [];
  let start = 0;
  const { result } = await simulateTiny(deep({ dp: 4, ep: 1, zero: 3, steps: 2 }, layers), {
    link: { latencyMs: 0.02, jitterMs: 0.01 },
    observe: ({ address, event, stateAfter, stateBefore }, atMs) => {
      const { type, layer, step, from } = event;
      if (step !== 2) return;
      const isWaiting = (state: string): boolean => state.startsWith('wanting') || state === 'idle';
      if (address === pass && isWaiting(stateBefore) && !isWaiting(stateAfter)) start = atMs;
      if (address === pass && !isWaiting(stateBefore) && isWaiting(stateAfter))
        computed.push({ layer, start, end: atMs });
      if (type === 'weights.ask' && from === courier) {
        const last = gathered.findLast((each) => each.layer === layer);
        // Questions to several shards leave at once and arrive one by one.
        if (last === undefined || atMs - last.start > SPREAD_MS)
          gathered.push({ layer, start: atMs, end: atMs });
      }
      if (address === courier && type === 'weights.part') {
        const at = gathered.findLastIndex((each) => each.layer === layer);
        gathered[at] = { layer, start: gathered[at]?.start ?? 0, end: atMs };
      }
    },
  });
  if (result.error !== null) throw result.error;
  return { computed, gathered };
}

test('zero: weights of a layer are gathered while the layer before it is computed, forward and backward', async (t) => {
  const layers = 6;
  const { computed, gathered: all } = await gathersOf(layers);
  // An evaluation follows.
  const gathered = all.filter(({ end }) => end <= (computed.at(-1)?.end ?? 0));
  t.is(computed.length, 2 * layers + 2, 'each layer twice, the head and the embedding');
  const hidden = gathered.filter(({ layer, start, end }) =>
    computed.some(
      (each) => Math.abs(each.layer - layer) === 1 && each.start <= start && end <= each.end && layer >= 0,
    ),
  );
  const open = gathered.filter((each) => !hidden.includes(each)).map(({ layer }) => layer);
  t.log(`${hidden.length} of ${gathered.length} gathers lie inside the computation of the layer before`);
  t.deepEqual(
    [...new Set(open)].toSorted((a, b) => a - b),
    [-1, 0],
    'only what a step begins with is waited for, and the head is gathered behind the last layer',
  );
  t.true(hidden.length >= layers);
});

test('zero: a bucket that is used again before it is added, or answered twice, is found', async (t) => {
  const topology = tinyTopology({ dp: 4, ep: 2, zero: 2, steps: 2, microbatches: 2 });
  const faults = [
    { kind: 'delay', target: 'worker/0,worker/1', atStep: 1, forMs: 400 },
    { kind: 'slow', target: 'worker/1', atStep: 1, forMs: 400 },
  ] as const;
  const clean = await simulateTiny(topology);
  const run = (name: string | null) =>
    simulateTiny(topology, {
      faults,
      reference: referenceOf(clean.events),
      ...(name === null ? {} : { plant: plantedBugs[name] ?? {} }),
    });
  t.is((await run(null)).violation, null);
  for (const [name, checker] of [
    ['a bucket reused before it was added', 'bytes-intact'],
    ['a bucket answered twice', 'buckets-answered'],
    ['a bucket beside taken back before it was added', 'loss-curve'],
  ] as const) {
    const { violation } = await run(name);
    t.is(violation?.checker, checker, name);
    t.log(violation?.text);
  }
});

test('zero: GRD-3, a courier lends all of its buckets and no more, which is found where there are fewer', async (t) => {
  const dense = (layout: TinyLayout): ResolvedTopology => {
    const topology = deep(layout);
    return { ...topology, model: { ...topology.model, moe: null } };
  };
  for (const topology of [
    dense({ dp: 1, ep: 1, offload: true, steps: 2 }),
    dense({ dp: 2, ep: 1, zero: 2, steps: 2, microbatches: 2 }),
    deep({ dp: 2, ep: 2, zero: 2, steps: 2, microbatches: 2 }),
  ]) {
    const layout = new Layout(topology);
    const group = layout.groupOf(workerRank(0), 'dense');
    const courier = layout.courierOf(group, workerRank(0)) ?? '';
    const withRooms = (rooms: number) =>
      bucketsCredited(new Map([[courier, { segments: group.segments, rooms }]]));
    const [all, fewer] = [withRooms(BUCKET_ROOMS), withRooms(BUCKET_ROOMS - 1)];
    const found: (string | null)[] = [];
    const { result, violation } = await simulateTiny(topology, {
      // What comes back is late, so that a stage is as far ahead as it may be.
      link: { latencyMs: 5 },
      observe: ({ node, address, incarnation, event, ...turn }, atMs) => {
        const { type: kind, from, step, attempt, version, layer, microbatch, body, tensors } = event;
        const place = { step, attempt, version, layer, microbatch };
        const said = { kind, from, body, tensors, ...place };
        const seen = { type: 'turn' as const, atMs, node, life: 1, incarnation, address, ...said, ...turn };
        t.is(all.see(seen), null);
        found.push(fewer.see(seen));
      },
    });
    t.is(result.error, null);
    t.is(violation, null);
    t.regex(found.find((text) => text !== null) ?? '', /courier\/dense\/dp0 lends .* number 3 .* of 2/u);
  }
});

test('zero: a worker that dies in mid-step of ZeRO 2 or 3 changes no number', async (t) => {
  const options = { checkpoints: true } as const;
  for (const [zero, buddies] of [
    [2, false],
    [3, true],
  ] as const) {
    const layout = { dp: 4, ep: 2, zero, buddies, microbatches: 2 } as const;
    const clean = await simulateTiny(withCheckpoints(layout), options);
    t.is(clean.result.error, null);
    const expected = numbersOf(clean);
    for (const when of [
      { actor: 'pass/pp0/dp3/tp0/s0', state: 'attending', times: 5 },
      { actor: 'pass/pp0/dp3/tp0/s0', state: 'unattending', times: 6 },
      ...(zero === 3 ? [{ actor: 'pass/pp0/dp3/tp0/s0', state: 'wanting.waiting', times: 9 }] : []),
      { actor: 'optimizer/dense/dp3', state: 'voted', times: 3 },
      { actor: 'optimizer/dense/dp3', state: 'applying', times: 3 },
      { actor: 'optimizer/expert/dp3', state: 'collecting', times: 4 },
    ]) {
      const where = `${nameOf(layout)} ${when.actor} ${when.state}`;
      const struck = await simulateTiny(withCheckpoints(layout), { ...options, faults: [crash(3, when)] });
      t.is(struck.struck.length, 1, where);
      t.is(struck.violation, null, where);
      t.is(struck.result.error, null, where);
      t.deepEqual(numbersOf(struck), expected, where);
      const recovered = struck.events.flatMap((event) => (event.event === 'recovered' ? [event] : []));
      t.is(recovered.length, 1, where);
      if (buddies) t.is(recovered[0]?.repeatedSteps, 0, where);
    }
  }
});
