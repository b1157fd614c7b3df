import test, { type ExecutionContext } from 'ava';
import { withoutQueue } from '@troupe/kernel-set';
import { openReferenceDevice } from '@troupe/kernels';
import type { FaultCondition } from '@troupe/sim/faults';
import { resolveTopology, type ResolvedTopology } from '@troupe/topology';
import { crash, numbersOf, simulateTiny } from './struck-tiny.ts';
import { tinyTopology, trainTiny, type TinyLayout } from './tiny-cluster.ts';

const openDevice = async () => openReferenceDevice({ dtype: 'f32' });

const devices = (count: number) => [{ devices: Array.from({ length: count }, (_, index) => `cpu:${index}`) }];

/** The tiny model with experts where rules put them. */
function placed(
  tiny: TinyLayout,
  { numDevices, parallel = {}, rules, segments = 1 }: Apart,
): ResolvedTopology {
  const { file } = tinyTopology(tiny);
  return resolveTopology({
    ...file,
    train: { ...file.train, tensorSegments: segments },
    parallel: { ...file.parallel, ...parallel },
    machines: devices(numDevices),
    placement: Object.fromEntries(
      Object.entries(rules).map(([pattern, device]) => [pattern, `localhost/cpu:${device}`]),
    ),
  });
}

interface Apart {
  readonly numDevices: number;
  readonly parallel?: object;
  readonly rules: Readonly<Record<string, number>>;
  /** `train.tensorSegments`: with 2, two tensor peers have the numbers of one process. */
  readonly segments?: 1 | 2;
}

const alone = ({ segments }: Pick<Apart, 'segments'> = {}): ResolvedTopology =>
  placed({ dp: 1, ep: 1 }, { numDevices: 1, rules: {}, ...(segments === undefined ? {} : { segments }) });

const runs: readonly (readonly [string, TinyLayout, Apart])[] = [
  ['one replica, one expert worker', { dp: 1, ep: 1 }, { numDevices: 2, rules: { 'expert/*': 1 } }],
  [
    'two replicas, four groups, stages behind experts',
    { dp: 2, ep: 1, microbatches: 2 },
    {
      numDevices: 6,
      parallel: { ep: 4 },
      rules: {
        'stage/pp0/dp0/tp0': 4,
        'stage/pp0/dp1/tp0': 5,
        'expert/*/ep0/*': 0,
        'expert/*/ep1/*': 1,
        'expert/*/ep2/*': 2,
        'expert/*/ep3/*': 3,
      },
    },
  ],
  [
    'two stages, two copies of the experts',
    { dp: 2, ep: 1, zero: 0, microbatches: 2 },
    { numDevices: 6, parallel: { pp: 2 }, rules: { 'expert/*/*/edp0': 4, 'expert/*/*/edp1': 5 } },
  ],
  [
    'a pipeline without bubbles, one expert worker',
    { dp: 1, ep: 1, microbatches: 2 },
    { numDevices: 3, parallel: { pp: 2, pipeline: 'zero-bubble' }, rules: { 'expert/*': 2 } },
  ],
  [
    'stages the other way round, experts beside them',
    { dp: 2, ep: 2 },
    {
      numDevices: 2,
      rules: { 'stage/pp0/dp0/*': 1, 'stage/pp0/dp1/*': 0, 'expert/*/ep0/*': 1, 'expert/*/ep1/*': 0 },
    },
  ],
  [
    'two tensor peers, one expert worker',
    { dp: 1, ep: 1, microbatches: 2 },
    { numDevices: 3, parallel: { tp: 2 }, rules: { 'expert/*': 2 }, segments: 2 },
  ],
  [
    'two tensor peers of two replicas, two groups of two copies, buckets',
    { dp: 2, ep: 1, zero: 2, microbatches: 2 },
    {
      numDevices: 8,
      parallel: { tp: 2, ep: 2 },
      rules: {
        'expert/*/ep0/edp0': 4,
        'expert/*/ep1/edp0': 5,
        'expert/*/ep0/edp1': 6,
        'expert/*/ep1/edp1': 7,
      },
      segments: 2,
    },
  ],
  [
    'a copy of the experts for each tensor peer, stages of one grain',
    { dp: 1, ep: 1, zero: 3, microbatches: 8 },
    {
      numDevices: 6,
      parallel: { pp: 2, tp: 2 },
      rules: { 'expert/*/*/edp0': 4, 'expert/*/*/edp1': 5 },
      segments: 2,
    },
  ],
];

for (const [name, tiny, apart] of runs)
  test(`placement: ${name}: the numbers of one process`, async (t) => {
    const expected = await trainTiny(alone(apart), openDevice);
    const run = await trainTiny(placed(tiny, apart), openDevice);
    t.is(run.result.error, null);
    t.deepEqual(run.hashes, expected.hashes);
  });

/** One of four workers is lost, at one time or another, and no number changes. */
async function survives(
  t: ExecutionContext,
  topology: ResolvedTopology,
  losses: readonly (readonly [worker: number, when: FaultCondition | number])[],
): Promise<void> {
  const clean = await simulateTiny(topology);
  t.is(clean.result.error, null);
  for (const [worker, when] of losses) {
    const struck = await simulateTiny(topology, { faults: [crash(worker, when)] });
    t.is(struck.struck.length, 1, `worker ${worker}: the fault struck`);
    t.is(struck.result.error, null);
    t.deepEqual(numbersOf(struck), numbersOf(clean));
    t.is(struck.events.filter(({ event }) => event === 'recovered').length, 1);
  }
}

const fourWorkers = { numDevices: 4, rules: { 'expert/*/ep0/*': 2, 'expert/*/ep1/*': 3 } } as const;

test('placement: a lost worker without a stage changes no number', async (t) => {
  const topology = placed(
    { dp: 2, ep: 1, buddies: true, microbatches: 2 },
    { ...fourWorkers, parallel: { ep: 2 } },
  );
  await survives(t, topology, [
    [2, 2],
    [3, { actor: 'expert/L1/ep1/edp0', state: 'serving.backwarding', times: 2 }],
    [3, { actor: 'optimizer/expert/ep1/edp0', state: 'voted', times: 2 }],
    [0, { actor: 'gate/L1/pp0/dp0', state: 'awaitingRows', times: 2 }],
  ]);
});

test('placement: a lost tensor peer whose experts are elsewhere changes no number', async (t) => {
  const topology = placed(
    { dp: 1, ep: 1, buddies: true, microbatches: 2 },
    { ...fourWorkers, parallel: { tp: 2, ep: 2 } },
  );
  await survives(t, topology, [
    [1, { actor: 'gate/L1/pp0/dp0/tp1', state: 'awaitingRows', times: 2 }],
    [0, { actor: 'pass/pp0/dp0/tp0/s1', state: 'unattending', times: 3 }],
    [3, { actor: 'expert/L0/ep1/edp0', state: 'serving.backwarding', times: 2 }],
  ]);
});

test('placement: the kernels of a worker without a stage count in what is reported of a step', async (t) => {
  const topology = placed({ dp: 1, ep: 1, steps: 8 }, { numDevices: 2, rules: { 'expert/*': 1 } });
  const ms: number[] = [];
  const { events, result } = await simulateTiny(topology, {
    plant: {
      memory: (device) => {
        const index = ms.push(0) - 1;
        return {
          ...withoutQueue(device),
          submit: (calls, done) =>
            device.submit(calls, (completion) => {
              ms[index] = (ms[index] ?? 0) + completion.kernelMs;
              done(completion);
            }),
        };
      },
    },
  });
  t.is(result.error, null);
  const [stage = 0, experts = 0] = ms;
  const reported = events.reduce((sum, event) => {
    if (event.event !== 'step') return sum;
    return sum + (event.kernelShare * ms.length * 1000 * event.tokens) / event.tokensPerSecond;
  }, 0);
  t.log(`${stage.toFixed(1)} and ${experts.toFixed(1)} ms, ${reported.toFixed(1)} reported`);
  // Evaluations, and what follows the last measure, are not of a step.
  t.true(reported > 0.9 * (stage + experts) && reported <= stage + experts);
  t.true(reported > stage + experts / 2, 'the stage alone is less');
});
