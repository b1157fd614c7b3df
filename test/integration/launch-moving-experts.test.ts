import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { openCheckpoint } from '@troupe/checkpoint';
import type { RunEvent } from '@troupe/telemetry';
import { fileStorage, loadTopology, type ResolvedTopology } from 'troupe';
import { hashOf } from './tiny-cluster.ts';
import { curve, newFolder, stretch } from './stretch.ts';

/** Most tokens go to the first experts, which begin in one group. */
const model = [
  'model.dModel=32',
  'model.layers=4',
  'model.seqLen=16',
  'model.ffn.dFf=48',
  'model.moe={every: 2, experts: 8, topK: 2, router: {choice: skewed}}',
  'train.steps=20',
  'train.batch=8',
  'train.grains=8',
  'eval.every=4',
  'eval.batches=1',
  'checkpoint.every=0',
];

function topologyOf(workers: number, parallel: string): ResolvedTopology {
  const devices = Array.from({ length: workers }, (_, index) => `"cpu:${index}"`).join(', ');
  return loadTopology('tiny', {
    set: [...model, `parallel={${parallel}}`, `machines=[{host: localhost, devices: [${devices}]}]`],
  });
}

const movesOf = (events: readonly RunEvent[]) =>
  events.flatMap((event) => (event.event === 'experts' ? [event] : []));

test.serial(
  'moving experts: over ZeroMQ, a checkpoint keeps where they sit, and goes on in any layout',
  async (t) => {
    const divided = topologyOf(2, 'dp: 2, ep: 2, experts: balanced, rebalanceEvery: 2');
    const whole = await newFolder(t);
    const alone = topologyOf(1, '');
    const expected = await stretch(t, alone, { folder: whole, over: 'memory', stopAfter: 10 });
    const folder = await newFolder(t);
    const first = await stretch(t, divided, { folder, over: 'ZeroMQ', stopAfter: 3 });
    const [move] = movesOf(first);
    t.like(move, { step: 2 });
    t.true(move !== undefined && move.gain > 0.2 && move.moved >= 4);
    const reader = await openCheckpoint(fileStorage(folder), 'run/step-000003');
    const { experts } = reader.manifest.trajectory as { experts: readonly (readonly number[])[] };
    await reader.close();
    t.deepEqual(
      experts.map((row) => [row.length, row.filter((group) => group === 0).length, row[0] === row[1]]),
      [
        [8, 4, false],
        [8, 4, false],
      ],
      'the hot ones are apart, in groups of equal size',
    );
    const second = await stretch(t, divided, { folder, over: 'ZeroMQ', stopAfter: 6, from: 3 });
    t.deepEqual(movesOf(second), [], 'it goes on with experts where they sat, so nothing is left to gain');
    const three = topologyOf(4, 'dp: 4, ep: 4, experts: balanced, rebalanceEvery: 2');
    const third = await stretch(t, three, { folder, over: 'memory', stopAfter: 9, from: 6 });
    t.deepEqual(
      movesOf(third).map(({ step }) => step),
      [8],
      'other groups deal again',
    );
    const last = await stretch(t, alone, { folder, over: 'memory', stopAfter: 10, from: 9 });
    t.is(curve([...first, ...second, ...third, ...last]), curve(expected));
    const weightsIn = async (of: string): Promise<string> =>
      hashOf([await readFile(join(of, 'run', 'step-000010', 'weights.safetensors'))]);
    t.is(await weightsIn(folder), await weightsIn(whole));
  },
);
