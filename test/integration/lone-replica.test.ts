import test from 'ava';
import { withoutQueue, type Completion, type Device, type KernelCall } from '@troupe/kernel-set';
import { openReferenceDevice } from '@troupe/kernels';
import { tinyTopology, trainTiny } from './tiny-cluster.ts';

interface Late {
  readonly device: Device;
  /** Lists that were queued when a list with this operation came, at most. */
  readonly ahead: (op: KernelCall['op']) => number;
}

/** A device that begins a list only some turns of the event loop after it came, so that JavaScript is as far ahead of it as it ever gets. */
function lateDevice(): Late {
  const body = openReferenceDevice({ dtype: 'f32' });
  const waiting: {
    readonly calls: readonly KernelCall[];
    readonly done: (completion: Completion) => void;
  }[] = [];
  const most = new Map<string, number>();
  const next = (): void => {
    const list = waiting[0];
    if (list === undefined) return;
    const completion = body.run(list.calls);
    waiting.shift();
    list.done(completion);
    if (waiting.length > 0) setTimeout(next, 2);
  };
  const device: Device = {
    ...withoutQueue(body),
    submit: (calls, done) => {
      for (const { op } of calls) most.set(op, Math.max(most.get(op) ?? 0, waiting.length));
      waiting.push({ calls, done });
      if (waiting.length === 1) setTimeout(next, 2);
    },
  };
  return { device, ahead: (op) => most.get(op) ?? 0 };
}

for (const layout of [
  { dp: 1, ep: 1 },
  { dp: 1, ep: 1, microbatches: 2 },
  { dp: 1, ep: 1, scope: 'global' as const },
]) {
  test(`a lone replica queues lists without waiting, and computes what it does otherwise (${JSON.stringify(layout)})`, async (t) => {
    const topology = tinyTopology(layout);
    const expected = await trainTiny(topology, async () => openReferenceDevice({ dtype: 'f32' }));
    const { device, ahead } = lateDevice();
    const run = await trainTiny(topology, async () => device);
    t.is(run.result.error, null);
    t.deepEqual(run.hashes, expected.hashes);
    t.true(ahead('experts.backward') >= 2, `${ahead('experts.backward')} lists before an expert's backward`);
    t.true(ahead('embed.backward') >= 6, `${ahead('embed.backward')} lists before the embedding's gradient`);
  });
}

test('replicas that exchange rows and gradients send nothing before it is computed', async (t) => {
  const topology = tinyTopology({ dp: 2, ep: 2 });
  const expected = await trainTiny(topology, async () => openReferenceDevice({ dtype: 'f32' }));
  const late = [lateDevice(), lateDevice()];
  const run = await trainTiny(topology, async (dp) => late[dp]!.device);
  t.is(run.result.error, null);
  t.deepEqual(run.hashes, expected.hashes);
});
