import test from 'ava';
import { openCheckpoint } from '@troupe/checkpoint';
import { MemoryStorage } from '@troupe/sim';
import { openReferenceDevice } from '@troupe/kernels';
import { loadTopology, startCluster, type ClusterOptions } from 'troupe';
import { main, squaredRelu } from './tensorflow-expert.ts';

const quiet = { print: () => {} };
const oneDevice = ['parallel.dp=1', 'parallel.ep=1', 'machines=[{ host: localhost, devices: [cpu:0] }]'];
const topology = loadTopology('tiny', { set: ['device=tfjs', ...oneDevice] });

test.serial('tensorflow-expert: trains, and alike on one device and on two', async (t) => {
  const losses = await main({ steps: 8, ...quiet });
  t.is(losses.length, 8);
  t.true((losses.at(-1) ?? 9) < (losses[0] ?? 0) - 1, losses.join(', '));
  const alone = await main({ steps: 3, set: oneDevice, ...quiet });
  const apart = Math.max(...alone.map((loss, i) => Math.abs(loss - (losses[i] ?? 0))));
  t.log(`largest difference ${apart}`);
  // The expert's own numbers are the same bits; the rest of a TensorFlow.js body is not held to that.
  t.true(apart < 1e-5);
});

/** The losses of a run with this expert, on one device. */
async function train(options: ClusterOptions): Promise<readonly number[]> {
  const cluster = await startCluster(topology, { expert: squaredRelu, ...options });
  const losses: number[] = [];
  for await (const { loss } of cluster.steps()) losses.push(loss);
  const { error } = await cluster.result;
  if (error !== null) throw error;
  return losses;
}

test.serial(
  'tensorflow-expert: its own parameters are in the checkpoint, and a resumed run goes on with them',
  async (t) => {
    const storage = new MemoryStorage();
    const checkpoints = { storage, folder: 'run', keep: 10, tokenizer: null };
    await train({ stopAfter: 2, checkpoints });
    const resumeFrom = await openCheckpoint(storage, 'run/step-000002');
    const own = resumeFrom.manifest.tensors
      .filter(({ name }) => name.includes('layers.1.mlp.experts.3.'))
      .map(({ name, shape }) => `${name.split('.').at(-1)} ${shape.join('×')}`);
    t.deepEqual([...new Set(own)].toSorted(), ['bias 128', 'down 64×128', 'scale 64', 'up 128×64']);
    const resumed = await train({ stopAfter: 4, resumeFrom });
    const whole = await train({ stopAfter: 4 });
    t.deepEqual(resumed, whole.slice(2));
  },
);

test('tensorflow-expert: another device is refused before anything starts', async (t) => {
  const openDevice = () => Promise.resolve(openReferenceDevice({ dtype: 'f32' }));
  const error = await t.throwsAsync(startCluster(topology, { expert: squaredRelu, openDevice }));
  t.is((error as { code?: string }).code, 'TROUPE_EXPERT_DEVICE');
  t.regex(error.message, /'squared ReLU' runs on device tfjs, this is reference f32; set `device: tfjs`/);
});
