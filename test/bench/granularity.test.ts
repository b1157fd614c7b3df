import { fileURLToPath } from 'node:url';
import { parameterCounts } from '@troupe/spec';
import type { ProfileEvent, ProfileLine } from '@troupe/telemetry';
import { loadTopology } from '@troupe/topology';
import test from 'ava';
import { granularitySection, partsOf } from './granularity.ts';

const line = (op: string, shape: string, ms: number): ProfileLine => ({
  op,
  shape,
  calls: 1,
  ms,
  share: ms / 100,
  flops: 1e9,
  bytes: 1e6,
  ofRate: null,
  rate: 'flops',
  bound: null,
});

test('granularity: the parts of a profile add up to its step, and a router is known by its experts', (t) => {
  const profile: ProfileEvent = {
    event: 'profile',
    path: 'profile.json.gz',
    steps: { first: 3, last: 4 },
    devices: 1,
    stepMs: 100,
    shares: { kernels: 90, messages: 2, eventLoop: 5, idle: 3 },
    peakFlops: null,
    bytesPerSecond: null,
    lines: [
      line('linear.forward', '2048×192→64', 1),
      line('linear.backward.weight', '2048×192→64', 2),
      line('linear.forward', '2048×192→640', 4),
      line('gate.forward', '2048×64 top 8', 3),
      line('balance.forward', '2048×64 top 8', 1),
      line('choice.take', '2048×64 in groups of 16', 5),
      line('route.plan', '2048×64 top 8', 1),
      line('combine', '2048×8 of 192', 6),
      line('experts.forward', '64 × 192→96', 20),
      line('experts.backward', '64 × 192→96', 30),
      line('head.loss', '2048×192→1000', 10),
    ],
    traceEvents: 10,
    arrows: 1,
    truncated: [],
  };
  t.deepEqual(partsOf(profile, 64), {
    router: 7,
    choice: 5,
    'moving rows': 7,
    experts: 50,
    leaves: 0,
    'the rest': 31,
  });
});

test('granularity: a token of the job meets as much at every G, and no product looks like a router', (t) => {
  const file = fileURLToPath(new URL('../../../test/bench/jobs/granular.yaml', import.meta.url));
  const active = [1, 2, 4, 8, 16, 32].map((G) => {
    const set = [`model.moe.granularity=${G}`, `model.moe.experts=${8 * G}`, `model.moe.topK=${G}`];
    const { model } = loadTopology(file, { set });
    const widths = [model.heads * model.headDim * 3, model.dModel, model.vocab, model.ffn.dFf];
    t.false(widths.includes(8 * G), `${8 * G} experts`);
    return parameterCounts(model).active - model.layers * model.dModel * 8 * G;
  });
  t.is(new Set(active).size, 1, active.join(', '));
});

test('granularity: the table and the picture have a row and a point for each G', (t) => {
  const parts = { router: 1, choice: 2, 'moving rows': 3, experts: 40, leaves: 5, 'the rest': 49 };
  const row = (router: 'token-choice' | 'expert-choice', granularity: number, stepMs: number) => ({
    router,
    granularity,
    experts: 8 * granularity,
    width: 768 / granularity,
    stepMs,
    leastMs: stepMs - 1,
    parts,
  });
  const rows = [
    row('token-choice', 1, 100),
    row('token-choice', 4, 110),
    row('expert-choice', 1, 90),
    row('expert-choice', 4, 135),
  ];
  const { text, chart } = granularitySection({ tokens: 2048, rows });
  t.regex(
    text,
    /\| expert-choice \| 4 \| 32 \| 192 \| 135 \(134\) \| 1\.50 \| 1\.0 \| 2\.0 \| 3\.0 \| 40\.0 \| 5\.0 \| 49\.0 \|/,
  );
  t.false(text.includes('not built'));
  t.true(chart !== undefined && 'series' in chart);
  if (chart === undefined || !('series' in chart)) return;
  t.deepEqual(chart.series[0]?.points, [
    [1, 90],
    [4, 135],
  ]);
  t.is(chart.series.length, 7);
});
