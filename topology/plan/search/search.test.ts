import test, { type ExecutionContext } from 'ava';
import * as fc from 'fast-check';
import { createPlacement } from '../../placement.ts';
import { loadTopology } from '../../load.ts';
import { resolveTopology } from '../../resolve.ts';
import type { TopologyInput } from '../../schema.ts';
import { TopologyError } from '../../errors.ts';
import { planMemory } from '../memory.ts';
import { formatSearch } from './format.ts';
import { axesOf, microbatchesOf, mixtureOf, overridesOf, schedulesOf, shardingsOf } from './mixture.ts';
import { blocksIn, QuickMemory, together } from './quick-memory.ts';
import { clusterSpeed, searchMixtures } from './search.ts';

const cluster = (machines: number, over: Partial<TopologyInput> = {}) =>
  resolveTopology({
    model: {
      vocab: 1000,
      layers: 6,
      dModel: 256,
      heads: 8,
      seqLen: 64,
      ffn: { kind: 'gelu', dFf: 512 },
      moe: { every: 2, experts: 8, topK: 2 },
    },
    data: { synthetic: 'zipf', holdout: 0 },
    train: { batch: 64, grains: 32 },
    machines: Array.from({ length: machines }, (_, machine) => ({
      host: `h${machine}`,
      devices: ['cuda:0', 'cuda:1', 'cuda:2', 'cuda:3'],
      speed: 'a100-40gb',
    })),
    ...over,
  });

/** Every mixture that the enumeration names. */
function* mixtures(topology: ReturnType<typeof cluster>) {
  for (const axes of axesOf(topology))
    for (const microbatches of microbatchesOf(topology, axes))
      for (const schedule of schedulesOf(topology, axes, microbatches))
        for (const sharding of shardingsOf(axes))
          for (const recompute of ['none', 'layer'] as const)
            yield { ...axes, ...schedule, ...sharding, microbatches, recompute };
}

/** As DeepSeek's: attention through latents, and layers without experts at the beginning. */
const latent = {
  vocab: 1000,
  layers: 6,
  dModel: 256,
  heads: 8,
  mla: { qRank: 96, kvRank: 64, nopeDim: 32, ropeDim: 16, valueDim: 24 },
  seqLen: 64,
  ffn: { dFf: 480 },
  moe: { firstDense: 2, experts: 8, topK: 2, dExpert: 64, sharedExperts: 1 },
};

/** @param most - mixtures that are tried */
function quickIsPlanned(t: ExecutionContext, topology: ReturnType<typeof cluster>, most: number): void {
  const all = [...mixtures(topology)];
  t.true(all.length > 300, `${all.length}`);
  const quick = new QuickMemory(topology);
  fc.assert(
    fc.property(fc.constantFrom(...all), (mixture) => {
      const resolved = resolveTopology(topology.file, { set: overridesOf(mixture) });
      t.deepEqual(mixtureOf(resolved), mixture);
      const placement = createPlacement(resolved);
      const planned = Math.max(...planMemory(resolved, placement).map(({ own }) => own.device));
      const found = Math.max(
        ...Array.from({ length: mixture.pp }, (_, stage) => {
          const { pp } = placement.layout.at(placement.layout.mesh.rankOf({ pp: stage, dp: 0, tp: 0 }));
          const chunks = placement.layout.chunksOf(pp).map((chunk) => blocksIn(topology, chunk));
          return quick.states(together(chunks), mixture).device + quick.buffers(stage, chunks, mixture);
        }),
      );
      t.true(
        Math.abs(found - planned) <= planned / (mixture.tp === 1 ? 50 : 20),
        `${JSON.stringify(mixture)}: ${found} for ${planned}`,
      );
    }),
    { numRuns: most },
  );
}

test('searchMixtures: what it names resolves to that mixture, and the quick count of its memory is the plan’s within a fiftieth, of tensor ranks a twentieth', (t) => {
  quickIsPlanned(t, cluster(2), 60);
});

test('searchMixtures: the same of latent attention and of layers without experts at the beginning', (t) => {
  const topology = cluster(2, { model: latent });
  t.true([...mixtures(topology)].every(({ pipeline }) => pipeline !== 'zero-bubble'));
  quickIsPlanned(t, topology, 40);
});

/** Two streams of other lengths, experts in every other layer of both, one table for all. */
const translator = {
  vocab: 1000,
  layers: 6,
  encoder: { layers: 4, seqLen: 96 },
  tiedHead: true,
  dModel: 256,
  heads: 8,
  seqLen: 64,
  ffn: { kind: 'relu', dFf: 512 },
  moe: { every: 2, experts: 8, topK: 1 },
} as const;

test('searchMixtures: the same of an encoder and a decoder', (t) => {
  quickIsPlanned(t, cluster(2, { model: translator }), 30);
  quickIsPlanned(t, cluster(2, { model: { ...translator, positions: 't5', norm: 'layer' } }), 15);
});

test('searchMixtures: the fastest that fit come first, and less memory leaves fewer', (t) => {
  const topology = cluster(2);
  const of = (memoryBytes: number, most?: number) =>
    searchMixtures(topology, {
      memoryBytes,
      speed: clusterSpeed(topology),
      ...(most === undefined ? {} : { most }),
    });
  const [roomy, tight, none] = [of(40e9), of(60e6, 1000), of(1e6)];
  t.is(roomy.found.length, 20);
  t.is(roomy.numFitting, roomy.numMixtures);
  t.true(tight.numFitting < roomy.numFitting && tight.found.length > 0);
  t.true(tight.found.every(({ deviceBytes }) => deviceBytes <= 60e6));
  t.deepEqual(none.found, []);
  t.is(none.numFitting, 0);
  for (const { found } of [roomy, tight]) {
    const times = found.map(({ stepSeconds }) => stepSeconds);
    t.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    );
  }
  const text = formatSearch(roomy);
  t.regex(text, /^\d+ mixtures divide this model over these devices; \d+ fit 37\.3 GiB a device$/mu);
  t.true(text.includes(`Best: --set parallel.pp=${roomy.found[0]?.mixture.pp}`));
});

test('searchMixtures: one device has schedules and shardings of one', (t) => {
  const topology = cluster(1, { machines: [{ devices: ['cpu:0'] }] });
  const { found } = searchMixtures(topology, { memoryBytes: 1e12, speed: clusterSpeed(topology), most: 100 });
  t.true(found.length > 0);
  t.true(found.every(({ mixture: { pp, dp, tp, zero } }) => pp * dp * tp === 1 && zero === 1));
});

test('searchMixtures: a balance over the whole batch leaves GPipe, or one microbatch', (t) => {
  const topology = cluster(1, {
    model: { layers: 4, moe: { experts: 8, balance: { scope: 'global' } } },
  });
  const { found } = searchMixtures(topology, { memoryBytes: 1e12, speed: clusterSpeed(topology), most: 500 });
  t.true(found.length > 0);
  t.true(found.every(({ mixture }) => mixture.microbatches === 1 || mixture.pipeline === 'gpipe'));
});

test('searchMixtures: known models are divided over machines of eight H200', (t) => {
  const machine =
    '{ devices: [cuda:0, cuda:1, cuda:2, cuda:3, cuda:4, cuda:5, cuda:6, cuda:7], speed: h200 }';
  const on = (preset: string, machines: number, ...changes: readonly string[]) => {
    const set = [`machines=[${Array.from({ length: machines }, () => machine).join(', ')}]`, ...changes];
    const topology = loadTopology(preset, { set });
    return searchMixtures(topology, { memoryBytes: 141e9, speed: clusterSpeed(topology), most: 3 });
  };
  const olmoe = on('olmoe-1b-7b', 1, 'train.grains=64');
  t.is(olmoe.found.length, 3);
  t.true(olmoe.found.every(({ deviceBytes }) => deviceBytes <= 141e9));
  const v3 = on('deepseek-v3', 2, 'train.grains=240');
  t.true(v3.numMixtures > 100, `${v3.numMixtures}`);
  t.is(v3.numFitting, 0);
});

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index + 1);

/** Meshes and microbatches that the rules of a topology take, each tried. */
function legalSchedules(topology: ReturnType<typeof cluster>, world: number): ReadonlySet<string> {
  const legal = new Set<string>();
  const pipelines = ['1f1b', 'zero-bubble', 'interleaved'] as const;
  for (const pp of upTo(world))
    for (const tp of upTo(world))
      for (const ep of upTo(world))
        for (const microbatches of [1, 2, 3, 4, 8, 16])
          for (const pipeline of pp === 1 ? (['1f1b'] as const) : pipelines)
            for (const chunks of pipeline === 'interleaved' ? [2, 4] : [1]) {
              const dp = world / pp / tp;
              if (!Number.isInteger(dp)) continue;
              const axes = { pp, dp, tp, ep, pipeline, chunks };
              const set = [
                ...Object.entries(axes).map(([key, value]) => `parallel.${key}=${value}`),
                `train.microbatches=${microbatches}`,
              ];
              try {
                resolveTopology(topology.file, { set });
              } catch (error) {
                if (error instanceof TopologyError) continue;
                throw error;
              }
              legal.add(Object.values({ ...axes, microbatches }).join(' '));
            }
  return legal;
}

test('searchMixtures: names every mesh, schedule and number of microbatches that the rules take', (t) => {
  const topology = cluster(2, { train: { batch: 32, grains: 16 } });
  const found = new Set(
    [...mixtures(topology)].map(({ pp, dp, tp, ep, pipeline, chunks, microbatches }) =>
      [pp, dp, tp, ep, pipeline, chunks, microbatches].join(' '),
    ),
  );
  const legal = legalSchedules(topology, 8);
  t.true(legal.size > 50, `${legal.size}`);
  t.deepEqual([...found].toSorted(), [...legal].toSorted());
});

test('searchMixtures: on 512 devices none is left out', (t) => {
  const topology = cluster(128, { train: { batch: 1024, grains: 512 } });
  const { numMixtures, numFitting, found } = searchMixtures(topology, {
    memoryBytes: 40e9,
    speed: clusterSpeed(topology),
  });
  let expected = 0;
  const powers = upTo(10).map((power) => 2 ** (power - 1));
  // Of 512 devices only powers of two are shares; 6 layers and 8 heads bound pp and tp, 8 experts ep.
  for (const tp of [1, 2, 4, 8])
    for (const pp of [1, 2, 4]) {
      const dp = 512 / tp / pp;
      const groups = powers.filter((ep) => ep <= 8 && dp % ep === 0).length;
      for (const microbatches of powers.filter((each) => 512 % (dp * each) === 0)) {
        const chunks = [2, 4].filter((each) => pp * each <= 6 && microbatches % pp === 0).length;
        const schedules = pp === 1 ? 1 : 2 + chunks;
        // Recomputed or not; ZeRO 0 to 3, from 1 on with the optimizer on a host or not.
        expected += groups * schedules * 2 * 7;
      }
    }
  t.is(numMixtures, expected);
  t.is(numFitting, expected);
  t.is(found.length, 20);
});
