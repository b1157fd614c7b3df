import test from 'ava';
import type { ProfileEvent, ProfileLine } from '@troupe/telemetry';
import { benchJob } from './bench-job.ts';
import { rooflineSection } from './roofline.ts';

const line = (op: string, ms: number): ProfileLine => ({
  op,
  shape: '4×4',
  calls: 2,
  ms,
  share: ms / 100,
  flops: 1e9,
  bytes: 1e6,
  ofRate: 0.75,
  rate: 'flops',
  bound: 'arithmetic',
});
const profile: ProfileEvent = {
  event: 'profile',
  path: 'profile.json.gz',
  steps: { first: 3, last: 10 },
  devices: 1,
  stepMs: 100,
  shares: { kernels: 90, messages: 2, eventLoop: 5, idle: 3 },
  peakFlops: 1e11,
  bytesPerSecond: 1e10,
  lines: [line('experts.backward', 60), line('head.loss', 30)],
  traceEvents: 10,
  arrows: 1,
  truncated: [],
};

test('roofline: the rows add up to the step, kernels and what is outside them', (t) => {
  const { title, text } = rooflineSection({
    job: benchJob('coarse', 'full'),
    precision: 'f32',
    profile,
    withProfile: { median: 101, min: 100 },
    without: { median: 100, min: 100 },
    numSteps: 8,
  });
  t.is(title, 'Roofline: coarse, f32');
  const rows = text
    .split('\n')
    .filter((each) => each.startsWith('| '))
    .slice(1)
    .map((each) => each.split('|').map((cell) => cell.trim()));
  const ms = (name: string): number => Number(rows.find((cells) => cells[1]?.includes(name))?.[5]);
  t.is(ms('experts.backward') + ms('head.loss'), ms('all kernels'));
  t.is(ms('all kernels') + ms('messages') + ms('event loop') + ms('idle'), ms('a step'));
  t.regex(
    text,
    /experts\.backward, 4×4 \| 2 \| 1\.000 \| 1\.00 \| 60\.0 \| 60\.0 % \| 16\.7 \| 0\.0 \| 75\.0 % of peak \| arithmetic/,
  );
  t.regex(text, /101\.0 ms with and 100\.0 ms without, medians of 8 \(\+1\.0 %\)/);
});
