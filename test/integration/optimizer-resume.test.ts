import test from 'ava';
import { inlineHasher } from '@troupe/checkpoint';
import { openReferenceDevice } from '@troupe/kernels';
import type { OptimizerKind } from '@troupe/spec';
import { memoryStorage, openCheckpoint, startCluster, type RunEvent } from 'troupe';
import { usual, type Mixture } from '../mixtures/mixture.ts';
import { mixtureTokens, STEPS, topologyOf } from '../mixtures/mixture-topology.ts';

/** Trains a mixture to a step, from the beginning or from a checkpoint of another layout. */
async function train(
  mixture: Mixture,
  storage: ReturnType<typeof memoryStorage>,
  { to, from }: { readonly to: number; readonly from?: number },
): Promise<readonly number[]> {
  const topology = topologyOf(mixture);
  const hasher = inlineHasher();
  const open = (step: number) =>
    openCheckpoint(storage, `run/step-${String(step).padStart(6, '0')}`, { hasher });
  const cluster = await startCluster(topology, {
    tokens: mixtureTokens(topology.model),
    stopAfter: to,
    openDevice: async () => openReferenceDevice({ dtype: 'f32' }),
    checkpoints: { storage, folder: 'run', keep: STEPS, tokenizer: null, hasher },
    ...(from === undefined ? {} : { resumeFrom: await open(from) }),
  });
  const events: RunEvent[] = [];
  for await (const event of cluster.events()) events.push(event);
  const { error } = await cluster.result;
  if (error !== null) throw error;
  return events.flatMap((event) => (event.event === 'step' ? [event.loss] : []));
}

/** Names of an optimizer's state in checkpoints, by how many tensors have it. */
const kept: Readonly<Record<OptimizerKind, readonly string[]>> = {
  adamw: ['adam-m', 'adam-v'],
  sgd: ['sgd-v'],
  adafactor: ['adafactor-col', 'adafactor-row', 'adafactor-v'],
  muon: ['adam-m', 'adam-v', 'muon-m'],
};

for (const optimizer of ['sgd', 'adafactor', 'muon'] as const)
  test(`resume: a run of ${optimizer} goes on in another layout, with the numbers of one that was not stopped`, async (t) => {
    const [alone, divided] = [memoryStorage(), memoryStorage()];
    const whole = await train({ ...usual, optimizer }, alone, { to: STEPS });
    const before = await train({ ...usual, pp: 2, dp: 2, ep: 2, zero: 1, optimizer }, divided, { to: 2 });
    const after = await train({ ...usual, dp: 3, ep: 3, zero: 3, offload: 'optimizer', optimizer }, divided, {
      to: STEPS,
      from: 2,
    });
    t.deepEqual([...before, ...after], whole);
    t.true(whole.every(Number.isFinite));
    t.true((whole.at(-1) ?? Infinity) < (whole[0] ?? 0), whole.join());
    const last = await openCheckpoint(alone, 'run/step-000005', { hasher: inlineHasher() });
    const groups = new Set(last.manifest.tensors.map(({ group }) => group as string));
    t.deepEqual([...groups].toSorted(), [...kept[optimizer], 'weights'].toSorted());
    const shapeOf = (name: string, group: string) =>
      last.manifest.tensors.find((each) => each.name === name && each.group === group)?.shape;
    const up = 'model.layers.1.mlp.experts.0.up_proj.weight';
    const [rows, columns] = shapeOf(up, 'weights') ?? [];
    t.deepEqual(
      kept[optimizer].map((group) => shapeOf(up, group)),
      {
        sgd: [[rows, columns]],
        adafactor: [[columns], [rows], undefined],
        muon: [undefined, undefined, [rows, columns]],
      }[optimizer],
    );
  });
