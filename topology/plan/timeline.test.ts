import test from 'ava';
import type { PipelineKind } from '../pipeline.ts';
import { timelineOf } from './timeline.ts';

/** Stages of equal times, a chunk of half the layers taking half of them. */
const bubble = (kind: PipelineKind, stages: number, microbatches: number, chunks = 1) => {
  const [forward, backward, weights] = [1 / chunks, 1.3 / chunks, kind === 'zero-bubble' ? 0.8 : 0];
  const times = Array.from({ length: stages }, () =>
    Array.from({ length: chunks }, () => ({ forward, backward, weights })),
  );
  const { end, busy } = timelineOf({ kind, microbatches, chunks }, times);
  return end - (busy[0] ?? 0);
};

const near = (found: number, expected: number): boolean => Math.abs(found - expected) < 1e-9;

test('timelineOf: bubbles of equal stages are those of the papers', (t) => {
  for (const stages of [1, 2, 4, 8]) {
    t.true(near(bubble('1f1b', stages, 8), (stages - 1) * 2.3), `1f1b ${stages}`);
    t.true(near(bubble('gpipe', stages, 8), (stages - 1) * 2.3), `gpipe ${stages}`);
    t.true(near(bubble('zero-bubble', stages, 8), (stages - 1) * 1.5), `zero-bubble ${stages}`);
    t.true(near(bubble('interleaved', stages, 8, 2), ((stages - 1) * 2.3) / 2), `interleaved ${stages}`);
  }
});

test('timelineOf: unequal stages wait for the slowest, in GPipe once in each direction', (t) => {
  const forwards = [3, 1, 4, 2];
  const each = forwards.map((time) => [{ forward: time, backward: 2 * time, weights: 0 }]);
  for (const microbatches of [1, 4, 16]) {
    const gpipe = timelineOf({ kind: 'gpipe', microbatches, chunks: 1 }, each);
    t.is(gpipe.end, 3 * (3 + 1 + 4 + 2) + 3 * 4 * (microbatches - 1));
    t.deepEqual(
      gpipe.busy,
      forwards.map((time) => 3 * time * microbatches),
    );
    t.true(near(gpipe.bubble, 1 - (30 * microbatches) / (4 * gpipe.end)));
    // 1F1B may begin the backward passes of the stages before the slowest one earlier; that one alone, and what comes before it, it needs.
    const { end } = timelineOf({ kind: '1f1b', microbatches, chunks: 1 }, each);
    t.true(end <= gpipe.end && end >= 3 * (3 + 1) + 3 * 4 * microbatches, `${end}`);
  }
});
