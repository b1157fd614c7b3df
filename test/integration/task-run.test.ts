import test from 'ava';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openReferenceDevice } from '@troupe/kernels';
import { resolveTopology } from '@troupe/topology';
import { startCluster } from 'troupe';

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
  writeFileSync(target, texts.map((text) => [...text].reverse().join('')).join('\n'));
  return { kind: 'lines', from: 'en', to: 'rev', source, target };
}

const topologyOf = (parallel: object) =>
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

const lossesOf = async (parallel: object): Promise<readonly unknown[]> => {
  const events: unknown[] = [];
  const cluster = await startCluster(topologyOf(parallel), {
    openDevice: () => Promise.resolve(openReferenceDevice({ dtype: 'f32' })),
    sink: (event) => {
      if (event.event === 'step') events.push(event.loss);
      if (event.event === 'eval') events.push([event.loss, event.tokens]);
    },
  });
  const { error } = await cluster.result;
  if (error !== null) throw error;
  return events;
};

test('tasks: batches of which only some rows have targets give the same losses in every layout', async (t) => {
  const one = await lossesOf({});
  t.is(one.length, 5);
  t.deepEqual(await lossesOf({ dp: 2, ep: 2 }), one);
  t.deepEqual(await lossesOf({ pp: 2 }), one);
});
