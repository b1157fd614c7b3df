import test, { type ExecutionContext } from 'ava';
import type { Device } from '@troupe/kernel-set';
import { loadDevice, openNativeDevice, openReferenceDevice, type NativeIsa } from '@troupe/kernels';
import { tinyTopology, trainTiny, type TinyLayout, type TinyRun } from './tiny-cluster.ts';

/** (data-parallel, expert-parallel) of one model on one to four devices. */
const meshes = [
  [1, 1],
  [2, 1],
  [2, 2],
  [4, 2],
  [4, 4],
] as const;

const layouts: readonly Required<Pick<TinyLayout, 'dp' | 'ep' | 'zero' | 'microbatches'>>[] = meshes.flatMap(
  ([dp, ep]) =>
    ([0, 1] as const).flatMap((zero) => [1, 2].map((microbatches) => ({ dp, ep, zero, microbatches }))),
);

const nameOf = ({ dp, ep, zero, microbatches }: (typeof layouts)[number]): string =>
  `dp ${dp}, ep ${ep}, zero ${zero}, microbatches ${microbatches}`;

async function expectOneCurve(
  t: ExecutionContext,
  changes: Omit<TinyLayout, 'dp' | 'ep'>,
  openDevice: (dp: number) => Promise<Device>,
  compared = layouts,
): Promise<TinyRun> {
  const [first, ...others] = compared;
  t.truthy(first);
  const expected = await trainTiny(tinyTopology({ ...changes, ...first! }), openDevice);
  t.is(expected.result.error, null);
  t.is(expected.steps.length, 3);
  t.true(expected.steps.every(({ loss, gradNorm }) => Number.isFinite(loss) && gradNorm > 0));
  for (const layout of others) {
    const run = await trainTiny(tinyTopology({ ...changes, ...layout }), openDevice);
    t.is(run.result.error, null, nameOf(layout));
    t.deepEqual(run.hashes, expected.hashes, nameOf(layout));
  }
  return expected;
}

const reference = async (): Promise<Device> => openReferenceDevice({ dtype: 'f32' });

for (const choice of ['learned', 'skewed'] as const) {
  test(`layouts: one loss curve on ${layouts.length} layouts, reference body, ${choice} routing`, async (t) => {
    const run = await expectOneCurve(t, { choice }, reference);
    const last = run.steps.at(-1)!;
    t.true(choice === 'learned' || last.maxExpertLoad > 1.3, `hottest expert carries ${last.maxExpertLoad}`);
    t.log(`losses ${run.steps.map(({ loss }) => loss.toFixed(6)).join(', ')}`);
  });
}

test('layouts: one loss curve when gradients and weights are exchanged in levels', async (t) => {
  const levels = ([0, 1] as const).flatMap((zero) =>
    [
      [1, 1, 8],
      [4, 2, 2],
      [4, 1, 2],
      [8, 4, 2],
      [8, 1, 4],
    ].map(([dp = 1, ep = 1, fanout = 8]) => ({ dp, ep, fanout, zero, microbatches: 1 })),
  );
  await expectOneCurve(t, {}, reference, levels);
});

test('layouts: one loss curve with the balance taken over the whole batch and a shared expert', async (t) => {
  const corners = layouts.filter(
    ({ dp, ep, zero, microbatches }) => dp === ep && zero === 1 && microbatches === 1,
  );
  t.is(corners.length, 3);
  await expectOneCurve(t, { scope: 'global', sharedExperts: 1 }, reference, corners);
});

test('layouts: the hashes tell runs apart that are not the same', async (t) => {
  const run = async (changes: Partial<TinyLayout>): Promise<TinyRun['hashes']> =>
    (await trainTiny(tinyTopology({ dp: 1, ep: 1, ...changes }), reference)).hashes;
  const base = await run({});
  for (const changes of [{ seed: 6 }, { choice: 'skewed' as const }, { sharedExperts: 1 }]) {
    const other = await run(changes);
    for (const key of ['losses', 'gradNorms', 'parameters'] as const)
      t.not(other[key], base[key], `${key} of ${JSON.stringify(changes)}`);
  }
});

/** The native body where it is built; the reason where it is not. */
async function openNative(
  threads: number,
): Promise<{ readonly device: Device } | { readonly reason: string }> {
  try {
    return { device: await loadDevice({ body: 'native', threads }) };
  } catch (error) {
    return { reason: String(error) };
  }
}

for (const choice of ['learned', 'skewed'] as const) {
  test(`layouts: one loss curve on ${layouts.length} layouts and 1, 2 and 3 threads, native body, ${choice} routing`, async (t) => {
    const probe = await openNative(1);
    if ('reason' in probe) {
      t.log(`not run: ${probe.reason}`);
      t.regex(probe.reason, /native/);
      return;
    }
    await probe.device.close();
    const onThreads = (threads: number) => async (): Promise<Device> =>
      loadDevice({ body: 'native', threads });
    const one = await expectOneCurve(t, { choice }, onThreads(1));
    const corners = layouts.filter(({ dp, ep, zero }) => dp === ep && zero === 1);
    for (const threads of [2, 3]) {
      const run = await expectOneCurve(t, { choice }, onThreads(threads), corners);
      t.deepEqual(run.hashes, one.hashes, `${threads} threads`);
    }
    t.log(`losses ${one.steps.map(({ loss }) => loss.toFixed(6)).join(', ')}`);
  });
}

/** The best instruction set under its two names, and every other that this CPU and build have. */
const isasHere = async (): Promise<readonly NativeIsa[]> => {
  const names = ['auto', 'avx512bf16', 'avx512', 'avx2', 'neon', 'portable'] as const;
  const open = async (isa: NativeIsa): Promise<boolean> => {
    try {
      await openNativeDevice({ threads: 1, isa }).close();
      return true;
    } catch {
      return false;
    }
  };
  const here = await Promise.all(names.map(open));
  return names.filter((_, index) => here[index]);
};

/** Layouts of the bf16 runs: without, with some and with all experts apart, and with several microbatches. */
const bf16Layouts = layouts.filter(
  ({ dp, ep, zero, microbatches }) =>
    zero === 1 && (dp === ep || (dp === 4 && ep === 2)) && (microbatches === 1 || dp === 2),
);

test('layouts: one loss curve in bf16, reference body', async (t) => {
  const run = await expectOneCurve(t, { precision: 'bf16' }, reference, bf16Layouts);
  const f32 = await trainTiny(tinyTopology({ dp: 1, ep: 1 }), reference);
  t.not(run.hashes.losses, f32.hashes.losses, 'bf16 is not f32');
});

test(`layouts: one loss curve in bf16 on ${bf16Layouts.length} layouts, 1, 2 and 3 threads and every instruction set`, async (t) => {
  const probe = await openNative(1);
  if ('reason' in probe) {
    t.log(`not run: ${probe.reason}`);
    t.regex(probe.reason, /native/);
    return;
  }
  await probe.device.close();
  const precision = 'bf16';
  const expected = await expectOneCurve(
    t,
    { precision },
    () => loadDevice({ body: 'native', threads: 1 }),
    bf16Layouts,
  );
  const isas = await isasHere();
  for (const isa of isas) {
    for (const threads of isa === 'auto' ? [2, 3] : [2]) {
      const open = async (): Promise<Device> => openNativeDevice({ threads, isa });
      const run = await trainTiny(tinyTopology({ dp: 2, ep: 2, precision }), open);
      t.is(run.result.error, null);
      t.deepEqual(run.hashes, expected.hashes, `${isa}, ${threads} threads`);
    }
  }
  t.log(`instruction sets ${isas.join(', ')}`);
  t.log(`losses ${expected.steps.map(({ loss }) => loss.toFixed(6)).join(', ')}`);
});

test('layouts: native and reference compute the same run within rounding, routing fixed', async (t) => {
  const probe = await openNative(1);
  if ('reason' in probe) {
    t.log(`not run: ${probe.reason}`);
    t.regex(probe.reason, /native/);
    return;
  }
  const topology = tinyTopology({ dp: 1, ep: 1, choice: 'skewed' });
  const native = await trainTiny(topology, async () => probe.device);
  const expected = await trainTiny(topology, reference);
  let largest = 0;
  for (const [index, step] of native.steps.entries()) {
    const other = expected.steps[index]!;
    for (const key of ['loss', 'gradNorm', 'auxLoss'] as const)
      largest = Math.max(largest, Math.abs(step[key] - other[key]) / other[key]);
  }
  t.log(`largest relative difference ${largest.toExponential(2)}`);
  t.true(largest > 0, 'two bodies that round differently cannot agree in every bit');
  t.true(largest < 1e-3);
});
