import test from 'ava';
import { loadTopology, type ResolvedTopology } from '@troupe/topology';
import { exitCodeOf } from './run-result.ts';
import { machineMemory, memoryOf, mustFit } from './machine-memory.ts';
import { openSimulator } from './simulation/simulator.ts';
import { startCluster } from './start-cluster.ts';

const GIB = 2 ** 30;
/** About five billion parameters on two devices: 99 GB of weights, gradients and moments. */
const large = loadTopology('tiny', {
  set: [
    'model={layers: 12, dModel: 4096, heads: 32, ffn: {dFf: 8192}}',
    'model.moe.experts=8',
    'model.vocab=257',
  ],
});

const refused = (topology: ResolvedTopology, bytes: number, isLimit = false): Error | undefined => {
  try {
    mustFit(topology, 'launch', { bytes, isLimit });
    return undefined;
  } catch (error) {
    return error as Error;
  }
};

test('memoryOf: the limit of a control group counts where there is one', (t) => {
  t.deepEqual(memoryOf(8 * GIB, 2 * GIB), { bytes: 2 * GIB, isLimit: true });
  // How Node says that there is none.
  t.deepEqual(memoryOf(8 * GIB, 0), { bytes: 8 * GIB, isLimit: false });
  t.deepEqual(memoryOf(8 * GIB, 2 ** 64), { bytes: 8 * GIB, isLimit: false });
  t.true(machineMemory().bytes > 0);
});

test('mustFit: a topology is refused exactly when plan needs more than there is, with both figures', (t) => {
  const tiny = loadTopology('tiny');
  const error = refused(tiny, 1000) as Error & { readonly details: { readonly neededBytes: number } };
  t.is(exitCodeOf(error), 5);
  const { neededBytes } = error.details;
  t.true(neededBytes > 1e6 && neededBytes < 1e8);
  t.is(refused(tiny, neededBytes), undefined);
  t.truthy(refused(tiny, neededBytes - 1));
  t.regex(
    error.message,
    /needs about \d+(\.\d+)? MiB of memory in 2 worker processes \(`troupe plan` shows where it goes\); this machine has 1000 B; use a smaller/,
  );
  t.regex(refused(tiny, 1000, true)?.message ?? '', /has 1000 B \(the limit of its control group\);/);
});

test('mustFit: one array longer than the engine allows is refused even on a machine with room', (t) => {
  const wide = loadTopology('tiny', { set: ['model.vocab=200000000'] });
  const error = refused(wide, Number.MAX_SAFE_INTEGER);
  // From Node 22 on there is no such limit.
  if (process.version.startsWith('v20.'))
    t.regex(error?.message ?? '', /25600\d+ parameters in one array.*at most/);
  else t.is(error, undefined);
});

test('openSimulator, startCluster: what does not fit is refused before anything is allocated', async (t) => {
  const code = 'TROUPE_MACHINE_MEMORY';
  const vast = loadTopology('tiny', { set: ['model.vocab=200000000', 'model.dModel=4096'] });
  const before = process.memoryUsage.rss();
  await t.throwsAsync(openSimulator(vast), {
    code,
    message: /simulate it without arithmetic: --shapes-only/,
  });
  await t.throwsAsync(startCluster(vast), { code });
  t.true(process.memoryUsage.rss() - before < GIB);
  const { topology } = await openSimulator(large, { shapesOnly: true });
  t.is(topology, large);
});
