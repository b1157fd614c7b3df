import { fileURLToPath } from 'node:url';
import test from 'ava';
import { inlineHasher, openCheckpoint } from '@troupe/checkpoint';
import { openReferenceDevice } from '@troupe/kernels';
import { MemoryStorage } from '@troupe/sim';
import { resolveTopology, type ResolvedTopology } from '@troupe/topology';
import {
  evaluationSequences,
  openRunData,
  startCluster,
  TrainedModel,
  type ClusterOptions,
  type GateRule,
} from 'troupe';

/** Grains of three sequences, and held-out ones whose last grain is not whole. */
const topologyOf = (
  dp: number,
  microbatches: number,
  { evaluates = 0.75, sampling = 'second' }: { evaluates?: number; sampling?: 'none' | 'second' } = {},
): ResolvedTopology =>
  resolveTopology({
    model: {
      vocab: 257,
      layers: 2,
      dModel: 16,
      heads: 2,
      seqLen: 16,
      ffn: { kind: 'swiglu', dFf: 24 },
      moe: { experts: 4, capacity: { train: 1, eval: evaluates, min: 1 }, router: { sampling } },
    },
    data: {
      jsonl: fileURLToPath(new URL('../../fixtures/checkpoint-0.1/trees.jsonl', import.meta.url)),
      tokenizer: { kind: 'bytes' },
      holdout: 0.1,
    },
    train: { steps: 2, batch: 12, grains: 4, microbatches, seed: 5, optimizer: { lr: 1e-2, warmup: 0 } },
    parallel: { dp, ep: dp },
    machines: [{ host: 'localhost', devices: Array.from({ length: dp }, (_, index) => `cpu:${index}`) }],
    checkpoint: { every: 2 },
    eval: { every: 2, batches: 'all' },
  });

const openDevice = async () => openReferenceDevice({ dtype: 'f32' });

/** The held-out loss and the drop rates that a run reports, and its last checkpoint. */
async function trained(topology: ResolvedTopology, rules: Pick<ClusterOptions, 'gate'> = {}) {
  const storage = new MemoryStorage();
  const cluster = await startCluster(topology, {
    ...rules,
    openDevice,
    checkpoints: { storage, folder: 'run', keep: 1, tokenizer: null, hasher: inlineHasher() },
  });
  const [losses, dropRates]: [number[], number[]] = [[], []];
  for await (const event of cluster.events()) {
    if (event.event === 'eval') losses.push(event.loss);
    if (event.event === 'step') dropRates.push(event.dropRate);
  }
  const { error } = await cluster.result;
  if (error !== null) throw error;
  return { losses, dropRates, checkpoint: await openCheckpoint(storage, 'run/step-000002') };
}

test('dropping: the held-out loss has the same bits on every layout and on one device, also where the last grain is not whole', async (t) => {
  const topology = topologyOf(1, 1);
  const expected = await trained(topology);
  t.is(expected.losses.length, 1);
  t.true(
    expected.dropRates.every((rate) => rate > 0 && rate < 0.5),
    expected.dropRates.join(),
  );
  for (const [dp, microbatches] of [
    [2, 1],
    [4, 1],
    [1, 4],
    [2, 2],
  ] as const) {
    const found = await trained(topologyOf(dp, microbatches));
    t.deepEqual(found.losses, expected.losses, `dp ${dp}, ${microbatches} microbatches`);
    t.deepEqual(found.dropRates, expected.dropRates);
  }

  const { source } = await openRunData(topology, { resumeFrom: expected.checkpoint, warn: () => {} });
  const sequences = evaluationSequences(topology, source.batches);
  t.not(sequences % 3, 0, `the last grain of ${sequences} is not whole`);
  const model = await TrainedModel.load(await openDevice(), { checkpoint: expected.checkpoint, topology });
  t.is((await model.evaluate(source.batches, sequences)).loss, expected.losses[0] ?? Number.NaN);
  // It is the factor of evaluation that counts, and it drops something.
  const other = topologyOf(1, 1, { evaluates: 0 });
  const dropless = await TrainedModel.load(await openDevice(), {
    checkpoint: expected.checkpoint,
    topology: other,
  });
  t.not((await dropless.evaluate(source.batches, sequences)).loss, expected.losses[0]);
});

/** Everybody to the first two of four experts. */
const crowding: GateRule = {
  name: 'crowding',
  choose: (_logits, { tokens, topK }) =>
    Int32Array.from({ length: tokens * topK }, (_, place) => place % topK),
};

test('dropping: experts drop of what an own gate chose, on every layout alike', async (t) => {
  const expected = await trained(topologyOf(1, 1, { sampling: 'none' }), { gate: crowding });
  // Two experts of four have room for half of the tokens each, rounded up in every grain.
  t.true(
    expected.dropRates.every((rate) => rate > 0.45 && rate <= 0.5),
    expected.dropRates.join(),
  );
  const found = await trained(topologyOf(2, 2, { sampling: 'none' }), { gate: crowding });
  t.deepEqual([found.losses, found.dropRates], [expected.losses, expected.dropRates]);
  await t.throwsAsync(trained(topologyOf(1, 1), { gate: crowding }), {
    code: 'TROUPE_NOT_BUILT',
    message: /the gate 'crowding' with model\.moe\.router\.sampling second/u,
  });
});
