import test from 'ava';
import { inlineHasher } from '@troupe/checkpoint';
import { openReferenceDevice } from '@troupe/kernels';
import { memoryStorage, openCheckpoint, startCluster, TrainedModel, type RunEvent } from 'troupe';
import { usual, type Mixture } from './mixture.ts';
import { mixtureTokens, STEPS, topologyOf } from './mixture-topology.ts';

const choice = { ...usual, model: 'choice' } as const;
const storage = memoryStorage();
const hasher = inlineHasher();
const openDevice = async () => openReferenceDevice({ dtype: 'f32' });
const opened = (step: number) => openCheckpoint(storage, `run/step-00000${step}`, { hasher, verify: 'lazy' });

/** Trains a mixture, from its beginning or from a checkpoint. */
async function train(mixture: Mixture, from?: number): Promise<readonly RunEvent[]> {
  const topology = topologyOf(mixture);
  const cluster = await startCluster(topology, {
    tokens: mixtureTokens(topology.model),
    openDevice,
    checkpoints: {
      storage,
      folder: from === undefined ? 'run' : `after-${from}`,
      keep: STEPS,
      tokenizer: null,
      hasher,
    },
    ...(from === undefined ? {} : { resumeFrom: await opened(from) }),
  });
  const events: RunEvent[] = [];
  for await (const event of cluster.events()) events.push(event);
  const { error } = await cluster.result;
  if (error !== null) throw error;
  return events;
}

/** Thresholds and the steps that they average, by name, after the last step. */
async function thresholdsAt(folder: string): Promise<ReadonlyMap<string, readonly number[]>> {
  const checkpoint = await openCheckpoint(storage, `${folder}/step-00000${STEPS}`, {
    hasher,
    verify: 'lazy',
  });
  const found = new Map<string, readonly number[]>();
  for (const { name, shape } of checkpoint.manifest.tensors)
    if (name.endsWith('.gate.thresholds'))
      found.set(name, Array.from(await checkpoint.read(name, 'weights', 0, shape[0] ?? 0)));
  await checkpoint.close();
  return found;
}

const lossesOf = (events: readonly RunEvent[]): readonly number[] =>
  events.flatMap((event) => (event.event === 'step' || event.event === 'eval' ? [event.loss] : []));

test('expert choice: a run goes on from a checkpoint on other replicas with the same numbers, and is evaluated as it was', async (t) => {
  const whole = await train({ ...choice, dp: 2, microbatches: 2 });
  const losses = lossesOf(whole);
  t.is(losses.length, STEPS + 1);
  const thresholds = await thresholdsAt('run');
  t.true(thresholds.size > 0);
  for (const pairs of thresholds.values())
    pairs.forEach((each, at) => t.true(at % 2 === 1 ? each === STEPS : each > 0 && each < 1));
  for (const mixture of [
    choice,
    { ...choice, pp: 2, dp: 3, ep: 3, microbatches: 6, zero: 3, pipeline: 'gpipe' },
  ] as const) {
    t.deepEqual(lossesOf(await train(mixture, 2)), losses.slice(2));
    // Thresholds follow sums over groups that two and three replicas share, and one has all of.
    t.deepEqual(await thresholdsAt('after-2'), thresholds);
  }

  // Ten held-out sequences in groups of six: the last two are the first two again, here as there.
  const topology = topologyOf(choice);
  const model = await TrainedModel.load(await openDevice(), { checkpoint: await opened(STEPS), topology });
  const { seqLen, vocab } = topology.model;
  const tokens = mixtureTokens({ vocab, encoder: null });
  const source = {
    vocabSize: vocab,
    seqLen,
    batch: 36,
    numTrainWindows: 36,
    numEvalSequences: 10,
    numEvalTargets: 0,
    trainBatch: () => {
      throw new RangeError('nothing is trained');
    },
    evalBatch: (first: number, count: number) => ({
      sequences: count,
      ...made(tokens.evalBatch(first, count)),
    }),
    validTargets: () => 0,
  };
  const found = await model.evaluate(source, source.numEvalSequences);
  t.is(found.loss, losses.at(-1) ?? Number.NaN);
});

/** A batch that is there at once. */
function made<B>(batch: B | PromiseLike<B>): B {
  if (typeof (batch as PromiseLike<B>).then === 'function') throw new RangeError('mixtures answer at once');
  return batch as B;
}
