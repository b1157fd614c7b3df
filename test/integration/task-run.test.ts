import test from 'ava';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inlineHasher, openCheckpoint } from '@troupe/checkpoint';
import { openReferenceDevice } from '@troupe/kernels';
import { MemoryStorage } from '@troupe/sim';
import { resolveTopology } from '@troupe/topology';
import { openRunData, startCluster, TrainedModel } from 'troupe';

const folder = mkdtempSync(join(tmpdir(), 'troupe-task-run-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

const words = ['sun', 'moon', 'star', 'sea', 'tree'];
const sentence = (index: number): string =>
  Array.from({ length: 1 + (index % 4) }, (_, at) => words[(index * 3 + at) % words.length]).join(' ');

/** Forty sentences and the same backwards, as two files that belong together. */
function write(): object {
  const texts = Array.from({ length: 40 }, (_, index) => `${sentence(index)} ${index}`);
  const [source, target] = [join(folder, 'a.en'), join(folder, 'a.rev')];
  writeFileSync(source, texts.join('\n'));
  writeFileSync(target, texts.map((text) => Array.from(text).reverse().join('')).join('\n'));
  return { kind: 'lines', from: 'en', to: 'rev', source, target };
}

const topologyOf = (parallel: object, model: object = {}) =>
  resolveTopology({
    name: 'tasks',
    model: {
      vocab: 364,
      layers: 2,
      dModel: 16,
      heads: 2,
      seqLen: 64,
      ffn: { dFf: 24 },
      moe: { experts: 4, topK: 2 },
      ...model,
    },
    data: {
      parallel: [write()],
      tasks: [{ kind: 'translation' }, { kind: 'denoising', noise: ['rotate', 'infill'] }],
      tokenizer: { kind: 'bytes' },
      holdout: 0.2,
    },
    train: { steps: 4, batch: 4, grains: 4, optimizer: { lr: 1e-2, warmup: 0 } },
    eval: { every: 4 },
    parallel,
  });

const openDevice = () => Promise.resolve(openReferenceDevice({ dtype: 'f32' }));

/** Losses of steps, then of the held-out text, and what the last checkpoint is kept in. */
async function trained(parallel: object, model: object = {}) {
  const storage = new MemoryStorage();
  const losses: number[] = [];
  const cluster = await startCluster(topologyOf(parallel, model), {
    openDevice,
    checkpoints: { storage, folder: 'run', keep: 1, hasher: inlineHasher() },
    sink: (event) => {
      if (event.event === 'step' || event.event === 'eval') losses.push(event.loss);
    },
  });
  const { error } = await cluster.result;
  if (error !== null) throw error;
  return { losses, storage };
}

test('tasks: batches of which only some rows have targets give the same losses in every layout', async (t) => {
  const one = await trained({});
  t.is(one.losses.length, 5);
  t.deepEqual((await trained({ dp: 2, ep: 2, pp: 2 })).losses, one.losses);

  const checkpoint = await openCheckpoint(one.storage, 'run/step-000004');
  const topology = topologyOf({});
  const { source } = await openRunData(topology, {
    resumeFrom: checkpoint,
    warn: (message) => t.fail(message),
  });
  const model = await TrainedModel.load(await openDevice(), { checkpoint, topology });
  const { numEvalSequences, evaluationParts } = source.batches;
  const { loss, tokens, parts } = await model.evaluate(source.batches, numEvalSequences);
  t.is(loss, one.losses.at(-1) ?? Number.NaN, 'the checkpoint has the tokenizer, and so the same sequences');
  t.deepEqual(
    parts.map(({ task, language }) => `${task} ${language}`),
    ['translation en-rev', 'translation rev-en', 'denoising rotate+infill en', 'denoising rotate+infill rev'],
  );
  t.deepEqual(
    parts.map((part) => part.tokens),
    evaluationParts?.map(({ numTargets }) => numTargets),
  );
  t.is(new Set(parts.map((part) => part.loss)).size, 4);
  const sum = parts.reduce((total, part) => total + part.loss * part.tokens, 0);
  t.true(Math.abs(sum / tokens - loss) < 1e-6, `${sum / tokens} and ${loss}`);
});

test('tasks: a model with an encoder reads the source, and has the same losses in every layout', async (t) => {
  const model = { layers: 3, seqLen: 48, encoder: { layers: 1, seqLen: 40 } };
  const one = await trained({}, model);
  t.is(one.losses.length, 5);
  t.deepEqual((await trained({ dp: 2, ep: 2, pp: 2 }, model)).losses, one.losses);
});

test('tasks: documents of a program are refused for a model with an encoder', async (t) => {
  const topology = topologyOf({}, { encoder: { layers: 1, seqLen: 40 } });
  const error = await t.throwsAsync(startCluster(topology, { openDevice, documents: ['a text'] }));
  t.regex(error?.message ?? '', /a model with an encoder, which has nothing to read in them/);
});
