import test from 'ava';
import * as fc from 'fast-check';
import { assert } from '@troupe/core';
import { parameterCounts } from '@troupe/spec';
import { Layout } from '../layout/layout.ts';
import { workerRank } from '../layout/rank.ts';
import type { ResolvedTopology } from '../resolved.ts';
import { formatPlan, formatPlanDiff, foldAddresses } from './format.ts';
import { formatBytes } from './table.ts';
import { diffPlans } from './diff.ts';
import { stageParameters } from './stage-parameters.ts';
import { planTopology } from './plan.ts';
import { resolveTopology } from '../resolve.ts';
import type { TopologyInput } from '../schema.ts';

const model = { layers: 2, dModel: 64, heads: 2, vocab: 300, seqLen: 32, moe: { experts: 12 } };

const resolved = (over: Partial<TopologyInput>) =>
  resolveTopology({
    model,
    train: { batch: 24, grains: 24 },
    ...over,
  });

/** Equal but for the block of 1,024 elements by which parts of a buffer differ. */
const near = (found: number | undefined, expected: number): boolean =>
  found !== undefined && Math.abs(found - expected) <= 0.02 * expected;

const plan = (over: Partial<TopologyInput>, options = {}) => planTopology(resolved(over), options);

test('planTopology: pipeline stages hold each parameter once', (t) => {
  for (const pp of [1, 2, 3]) {
    const topology = resolveTopology({ model: { layers: 3, moe: { every: 2 } }, parallel: { pp } });
    const stages = stageParameters(topology);
    const counts = parameterCounts(topology.model);
    t.is(
      stages.reduce((sum, stage) => sum + stage.dense, 0),
      counts.dense,
    );
    t.is(
      stages.reduce((sum, stage) => sum + stage.expert, 0),
      counts.expert,
    );
    t.deepEqual(
      stages.flatMap((stage) => stage.layers),
      [0, 1, 2],
    );
  }
});

/** Elements with padding: what buffers have. */
const padded = (topology: ResolvedTopology) =>
  Object.fromEntries(
    new Layout(topology)
      .groupsOf(workerRank(0))
      .map(({ name, flat, holders }) => [name, { length: flat.length, holders: holders.count }]),
  ) as Readonly<Record<'dense' | 'expert', { readonly length: number; readonly holders: number }>>;

test('planTopology: memory of one device is 16 bytes an element, and a parameter in the papers, besides activations', (t) => {
  const { memory, parameters } = plan({});
  const [only] = memory;
  assert(only, 'one device has one row');
  const { own, papers } = only;
  const { dense, expert } = padded(resolved({}));
  t.is(memory.length, 1);
  t.is(own.device - own.activations - own.buffers, 16 * (dense.length + expert.length));
  t.like(papers.mixed, { device: 16 * parameters.total, host: 0 });
  t.like(papers.f32, { device: 16 * parameters.total, master: 0, host: 0 });
  t.true(own.activations > 0);
});

test('planTopology: activations are counted as they are kept and as they are computed again, and a device has room for one of them', (t) => {
  const of = (recompute: 'none' | 'layer') => plan({ train: { batch: 24, grains: 24, recompute } });
  const [kept, again] = [of('none'), of('layer')];
  const [before, after] = [kept.memory[0]?.own, again.memory[0]?.own];
  assert(before && after, 'one device has one row');
  t.is(before.activations, before.kept);
  t.is(after.activations, after.recomputed);
  t.deepEqual([before.kept, before.recomputed], [after.kept, after.recomputed]);
  t.true(before.recomputed < before.kept);
  t.is(before.device - after.device, before.kept - before.recomputed);
  t.regex(formatPlan(kept), /activations\* +recomputed\*[^]*room for the first/u);
  t.regex(formatPlan(again), /room for the second/u);
});

test('planTopology: gradients of matrices that wait need room for their operands', (t) => {
  const of = (pipeline: 'zero-bubble' | '1f1b', zero: 1 | 2) =>
    plan({
      parallel: { pp: 2, dp: 2, pipeline, zero },
      train: { batch: 24, grains: 24, microbatches: 2 },
    }).memory[0]?.own.activations ?? 0;
  t.true(of('zero-bubble', 1) > of('1f1b', 1), 'as many slots at the first stage');
  t.is(of('zero-bubble', 2), of('1f1b', 2), 'nothing waits where gradients leave in buckets');
});

test('planTopology: the papers’ buddy keeps 14 bytes of a parameter that one worker alone updates, on a device or a host', (t) => {
  const of = (machines: number, offload: 'none' | 'optimizer') =>
    plan({
      parallel: { dp: 4, ep: 4, offload },
      machines: Array.from({ length: machines }, (_, index) => ({
        host: `h${index}`,
        devices: Array.from({ length: 4 / machines }, (__, device) => `cpu:${device}`),
      })),
      recovery: { buddies: true },
    });
  for (const [machines, offload, on] of [
    [2, 'none', 'device'],
    [1, 'optimizer', 'device'],
    [2, 'optimizer', 'host'],
  ] as const) {
    const { parameters, memory } = of(machines, offload);
    const each = (parameters.dense + parameters.expert) / 4;
    const [first] = memory;
    assert(first, 'a worker has a row');
    t.true(near(first.papers.mixed.buddies, 14 * each));
    t.true(near(first.papers.f32.buddies, 16 * each));
    const { mixed } = first.papers;
    const others = offload === 'none' ? mixed.device - mixed.buddies : mixed[on] - mixed.buddies;
    t.true(others > 0);
    if (offload === 'optimizer') t.true(near(first.own.buddies, 20 * each), 'sums of buckets are exact');
    t.true(on === 'device' || first.own.host > first.own.buddies);
  }
});

test('planTopology: a rule that puts shards on hosts is planned as offload is, and shows the hosts', (t) => {
  const machines = ['a', 'b'].map((host) => ({ host, devices: ['cpu:0/threads=2', 'cpu:1'] }));
  const of = (over: Partial<TopologyInput>) => plan({ machines, ...over });
  const placed = of({ placement: { 'optimizer/*': 'host:0' } });
  const offloaded = of({ parallel: { offload: 'optimizer' } });
  t.deepEqual(placed.memory, offloaded.memory);
  t.deepEqual(placed.traffic, offloaded.traffic);
  t.true(placed.memory.every(({ own }) => own.host > 0));
  t.like(placed.nodes.at(-1), { node: 'host/1', host: 'b', device: 'host:0', threads: 3 });
  t.regex(formatPlan(placed), /host\/0 +a +host:0\/threads=3 +optimizer\/dense\/dp0/u);
});

test('planTopology: one device sends nothing', (t) => {
  const { traffic } = plan({});
  t.is(traffic.perDevice.total, 0);
  t.deepEqual(traffic.links, []);
});

test('planTopology: traffic of dp 2, ep 2 by hand', (t) => {
  // 384 tokens a replica, 12 experts in two groups of 6, two choices: a token misses a group with 6/12 · 5/11.
  const topology = { parallel: { dp: 2, ep: 2 } };
  const { traffic } = plan(topology);
  const { dense } = padded(resolved(topology));
  const row = 64 * 4;
  const visits = 384 * (1 - (6 / 12) * (5 / 11));
  const expected = {
    dispatch: 2 * visits * row,
    combine: 2 * 384 * row,
    backward: 2 * (visits + 384) * row,
    pipeline: 0,
    tensor: 0,
    gradients: (8 * dense.length) / 2,
    weights: (4 * dense.length) / 2,
  };
  t.is(traffic.links?.length, 2);
  for (const link of traffic.links ?? []) {
    for (const [kind, bytes] of Object.entries(expected)) {
      const found = link.bytes[kind as keyof typeof expected];
      t.true(near(found, bytes), `${kind} ${found} ${bytes}`);
    }
    t.is(link.kind, 'ipc');
  }
});

test('planTopology: replicas of an expert group exchange gradients of 8 bytes and weights of 4', (t) => {
  const bytes = (zero: 0 | 1) => {
    const topology = { parallel: { dp: 4, ep: 2, zero } };
    const { traffic } = plan(topology);
    const parameters = padded(resolved(topology));
    const link = traffic.links?.find(({ from, to }) => from === 'worker/0' && to === 'worker/2')?.bytes;
    return { gradients: link?.gradients, weights: link?.weights, dispatch: link?.dispatch, parameters };
  };
  const sharded = bytes(1);
  const slice = sharded.parameters.dense.length / 4 + sharded.parameters.expert.length / 2;
  t.true(near(sharded.gradients, 8 * slice) && near(sharded.weights, 4 * slice));
  t.is(sharded.dispatch, 0);
  const whole = bytes(0);
  t.true(near(whole.gradients, 16 * slice), 'leaves of the slice, and its finished sum');
  t.is(whole.weights, 0);
});

test('planTopology: beyond the fan-out gradients are exchanged in levels, machines first', (t) => {
  const bytes = (fanout: number) => {
    const machines = [0, 1].map((index) => ({ host: `h${index}`, devices: ['cpu:0', 'cpu:1'] }));
    const topology = { parallel: { dp: 4, ep: 1, zero: 1 as const }, machines, wire: { fanout } };
    const { traffic } = plan(topology);
    const { dense, expert } = padded(resolved(topology));
    const of = (to: number) =>
      traffic.links?.find((link) => link.from === 'worker/0' && link.to === `worker/${to}`)?.bytes
        .gradients ?? 0;
    return { inside: of(1), straight: of(2), across: of(3), held: dense.length + expert.length };
  };
  const flat = bytes(8);
  for (const to of ['inside', 'straight', 'across'] as const) t.true(near(flat[to], 2 * flat.held), to);
  const levels = bytes(2);
  t.true(near(levels.inside, 4 * flat.held) && near(levels.straight, 2 * flat.held));
  t.is(levels.across, 0);
});

test('planTopology: buddies keep 20 bytes of what one worker alone holds and hear 8 of it a step; 16 and 4 where gradients are f32', (t) => {
  const of = (buddies: boolean) => plan({ parallel: { dp: 2, ep: 2 }, recovery: { buddies } });
  const [without, kept] = [of(false), of(true)];
  const { dense, expert } = padded(resolved({ parallel: { dp: 2, ep: 2 } }));
  t.true(near(kept.memory[0]?.own.buddies, (20 * dense.length) / 2 + 16 * expert.length));
  t.true(near(kept.traffic.perDevice.buddies, (8 * dense.length) / 2 + 4 * expert.length));
  const { total, buddies } = kept.traffic.perDevice;
  t.is(Math.round(total - buddies), Math.round(without.traffic.perDevice.total));
  t.is(without.memory[0]?.own.buddies, 0);
});

test('planTopology: links add up to what devices send by formula', (t) => {
  const shapes = fc.record({
    ep: fc.constantFrom(1, 2, 3),
    edp: fc.constantFrom(1, 2, 4),
    pp: fc.constantFrom(1, 2),
    zero: fc.constantFrom(0 as const, 1 as const, 2 as const, 3 as const),
    tp: fc.constantFrom(1, 2),
    microbatches: fc.constantFrom(1, 2),
    buddies: fc.boolean(),
    offload: fc.constantFrom('none' as const, 'optimizer' as const),
    encoder: fc.constantFrom(null, { layers: 1, seqLen: 48 }),
  });
  fc.assert(
    fc.property(shapes, ({ ep, edp, pp, tp, zero, buddies, microbatches, offload, encoder }) => {
      const { traffic } = plan({
        model: { ...model, encoder },
        parallel: { dp: ep * edp, ep, pp, tp, zero, offload },
        train: { batch: 48, grains: 48, microbatches },
        recovery: { buddies },
      });
      const world = ep * edp * pp * tp;
      for (const kind of [
        'dispatch',
        'combine',
        'backward',
        'pipeline',
        'tensor',
        'gradients',
        'weights',
        'buddies',
        'total',
      ] as const) {
        const sum = (traffic.links ?? []).reduce((total, link) => total + link.bytes[kind], 0);
        t.true(Math.abs(sum - world * traffic.perDevice[kind]) <= 1e-9 * sum, kind);
      }
    }),
    { numRuns: 40 },
  );
});

test('planTopology: a smoothed head shares the sum of the logits of each token, too', (t) => {
  const sent = (labelSmoothing: number) =>
    plan({ parallel: { tp: 2 }, train: { batch: 24, grains: 24, labelSmoothing } }).traffic.perDevice.tensor;
  t.is(sent(0.1) - sent(0), 4 * 24 * 32);
});

test('planTopology: step time needs speeds, and then is the least that compute and wire allow', (t) => {
  const unknown = plan({ parallel: { dp: 2 } });
  t.deepEqual(unknown.time, {
    computeSeconds: null,
    wireSeconds: null,
    basis: null,
    stepSeconds: null,
    tokensPerSecond: null,
  });
  const known = plan({ parallel: { dp: 2 } }, { flopsPerSecond: 1e9, bytesPerSecond: 1e6 });
  const [stage] = known.pipeline.stages;
  t.is(known.time.computeSeconds, (stage?.flops ?? 0) / 1e9);
  t.true(near(known.time.wireSeconds ?? 0, known.traffic.perDevice.total / 1e6), 'of the busiest');
  t.is(known.time.basis, 'bound');
  t.is(known.time.stepSeconds, Math.max(known.time.computeSeconds ?? 0, known.time.wireSeconds ?? 0));
  t.is(known.time.tokensPerSecond, (24 * 32) / (known.time.stepSeconds ?? 0));
  t.regex(formatPlan(known), /^Step time: at least [\d.]+ s, at most \d+ tokens\/s \(/mu);
  const simulated = plan({ parallel: { dp: 2 } }, { flopsPerSecond: 1e9, simulatedSeconds: 3 });
  t.like(simulated.time, { basis: 'simulated', stepSeconds: 3, tokensPerSecond: (24 * 32) / 3 });
  t.regex(formatPlan(simulated), /^Predicted step time: 3\.00 s, 256 tokens\/s \(simulated/mu);
  t.is(known.flopsPerStep, known.flopsPerToken * 24 * 32);
});

test('planTopology: says whether a device has room', (t) => {
  t.is(plan({}).fits, null);
  t.true(plan({}, { memoryBytes: 1e9 }).fits);
  t.false(plan({}, { memoryBytes: 1e3 }).fits);
});

test('planTopology: plans what is not built and says that launch refuses it', (t) => {
  const refused = plan({
    parallel: { pp: 2 },
    machines: [{ devices: ['cpu:0'] }, { host: 'box', devices: ['cpu:0'] }],
  });
  t.deepEqual(
    refused.unbuilt.map(({ key }) => key),
    ['machines.1.host'],
  );
  t.deepEqual(
    refused.traffic.links?.map((link) => link.kind),
    ['tcp', 'tcp'],
  );
  const text = formatPlan(refused);
  t.true(text.includes('launch refuses'));
  t.true(text.includes('machines.1.host: box'));
});

test('planTopology: a cluster of 512 devices is planned without the list of links', (t) => {
  const big = planTopology(
    resolveTopology({
      model: { moe: { experts: 64 } },
      train: { batch: 1024, grains: 128 },
      parallel: { dp: 128, ep: 64, pp: 4 },
    }),
  );
  t.is(big.memory.length, 512);
  t.is(big.traffic.links, null);
  t.true(big.traffic.perDevice.total > 0);
  t.true(formatPlan(big, { limit: 5 }).includes('… and 509 more'));
});

test('planTopology: is plain data', (t) => {
  const before = plan({ parallel: { dp: 2 } });
  t.deepEqual(JSON.parse(JSON.stringify(before)), JSON.parse(JSON.stringify(plan({ parallel: { dp: 2 } }))));
  t.deepEqual(JSON.parse(JSON.stringify(before.memory)), before.memory);
});

test('formatPlan: shows both memory tables, every node and the step time', (t) => {
  const text = formatPlan(plan({ parallel: { dp: 2, ep: 2 } }, { flopsPerSecond: 1e9, bytesPerSecond: 1e9 }));
  for (const part of [
    'worker/0',
    'worker/1',
    'agent/0',
    'expert/L0-1/ep1/edp0',
    'moments',
    'as the papers count it',
    'tokens/s',
  ])
    t.true(text.includes(part), part);
  t.false(text.includes('unknown'));
});

test('formatPlan: of what launch refuses the first ten', (t) => {
  const devices = Array.from({ length: 12 }, (_, index) => `cuda:${index}`);
  const lines = formatPlan(plan({ machines: [{ host: 'localhost', devices }] })).split('\n');
  const refused = lines.slice(lines.indexOf('Planned, but launch refuses it') + 1);
  t.is(refused.filter((line) => line.includes('TROUPE_NOT_BUILT')).length, 10);
  t.true(refused.includes('  … and 2 more'));
});

test('formatPlan: of an encoder and a decoder, which layers are whose and what stages hand on', (t) => {
  const encoding = { ...model, layers: 3, encoder: { layers: 2, seqLen: 48 } };
  const lines = formatPlan(
    plan({ model: encoding, parallel: { pp: 3, dp: 2 }, train: { batch: 24, grains: 24, microbatches: 3 } }),
  );
  t.regex(lines, /^Encoder: layers 0-1, 48 positions a sequence; decoder: layers 2, 32 positions$/m);
  // 24 sequences of a step in three microbatches of two replicas; 4 bytes of each of 64 elements.
  t.regex(
    lines,
    /^Of a microbatch a stage hands on 48.0 KiB of the encoder, .* and 32.0 KiB of the decoder;/m,
  );
  t.regex(formatPlan(plan({ model: encoding })), /^The memory of a microbatch is 288 KiB$/m);
  t.notRegex(formatPlan(plan({})), /ncoder/);
});

test('diffPlans: names keys, moved actors and figures, and nothing when nothing changes', (t) => {
  const before = plan({ parallel: { dp: 2, ep: 2 } });
  t.true(diffPlans(before, plan({ parallel: { dp: 2, ep: 2 } })).same);
  t.is(formatPlanDiff(diffPlans(before, before)), 'no difference\n');
  const diff = diffPlans(before, plan({ parallel: { dp: 2, ep: 1 } }));
  t.false(diff.same);
  t.deepEqual(diff.keys, [{ key: 'parallel.ep', before: 2, after: 1 }]);
  t.true(
    diff.actors.some(
      ({ key, before: from, after }) =>
        key === 'expert/L0/ep1/edp0' && from === 'worker/1' && after === undefined,
    ),
  );
  t.true(diff.figures.some(({ key }) => key === 'deviceBytesMax'));
  t.true(formatPlanDiff(diff).includes('parallel.ep: 2 → 1'));
});

test('formatBytes: powers of 1024 with three digits', (t) => {
  t.deepEqual([0, 1023, 1536, 10 * 1024 ** 2, 200 * 1024 ** 3].map(formatBytes), [
    '0 B',
    '1023 B',
    '1.50 KiB',
    '10.0 MiB',
    '200 GiB',
  ]);
});

test('foldAddresses: joins the layers of one family', (t) => {
  t.deepEqual(
    foldAddresses(['trainer', 'gate/L0/pp0/dp1', 'gate/L1/pp0/dp1', 'gate/L3/pp0/dp1', 'gate/L1/pp0/dp2']),
    ['trainer', 'gate/L0-1,3/pp0/dp1', 'gate/L1/pp0/dp2'],
  );
});

test('planTopology: from ZeRO 2 on leaves travel after every microbatch, and under 3 weights for every pass', (t) => {
  const of = (zero: 1 | 2 | 3, microbatches: number) =>
    plan({
      model: { layers: 8, dModel: 64, heads: 2, vocab: 300, seqLen: 32, moe: null },
      parallel: { dp: 4, zero },
      train: { batch: 24, grains: 24, microbatches },
    }).traffic.perDevice;
  for (const microbatches of [1, 3]) {
    const [one, two, three] = [of(1, microbatches), of(2, microbatches), of(3, microbatches)];
    t.is(two.gradients, microbatches * one.gradients);
    t.is(three.gradients, two.gradients);
    t.is(two.weights, one.weights);
    // Every layer for every pass, but those that the pass before has left in the window.
    t.true(
      three.weights > 1.4 * microbatches * one.weights && three.weights < 2 * microbatches * one.weights,
    );
  }
});
