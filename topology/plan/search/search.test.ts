import test from 'ava';
import * as fc from 'fast-check';
import { createPlacement } from '../../placement.ts';
import { resolveTopology } from '../../resolve.ts';
import type { TopologyInput } from '../../schema.ts';
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
          yield { ...axes, ...schedule, ...sharding, microbatches, recompute: 'none' as const };
}

test('searchMixtures: what it names resolves to that mixture, and the quick count of its memory is the plan’s within a fiftieth, of tensor ranks a twentieth', (t) => {
  const topology = cluster(2);
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
    { numRuns: 60 },
  );
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

test('searchMixtures: 512 devices', (t) => {
  const topology = cluster(128, { train: { batch: 1024, grains: 512 } });
  const { numMixtures, found } = searchMixtures(topology, {
    memoryBytes: 40e9,
    speed: clusterSpeed(topology),
  });
  t.true(numMixtures > 1000 && found.length === 20);
});
