import test from 'ava';
import { resolveTopology } from '@troupe/topology';
import { jobOf } from './job.ts';

const choices = {
  stopAfter: null,
  evaluationSequences: 0,
  checkpoints: false,
  first: { kind: 'draw' },
} as never;
const gate = { name: 'by position', choose: () => new Int32Array() };

test('job: an own gate chooses experts for tokens, so it is refused where experts choose', (t) => {
  const topology = (kind: 'token-choice' | 'expert-choice') =>
    resolveTopology({ model: { moe: { router: { kind, groupSequences: 8 } } }, train: { batch: 8 } });
  t.throws(() => jobOf(topology('expert-choice'), choices, { gate }), {
    code: 'TROUPE_NOT_BUILT',
    message: /the gate 'by position' in a model whose experts choose/u,
  });
  t.is(jobOf(topology('token-choice'), choices, { gate }).gate, gate);
});
