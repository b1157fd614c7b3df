import test from 'ava';
import { forwardProgram, inFlight, program, slotsOf, type Operation, type PipelineKind } from './pipeline.ts';

const kinds: readonly PipelineKind[] = ['1f1b', 'gpipe', 'interleaved', 'zero-bubble'];

const programsOf = (kind: PipelineKind, stages: number, microbatches: number, chunks: number) =>
  Array.from({ length: stages }, (_, stage) => program({ kind, stages, stage, microbatches, chunks }));

const words = (operations: readonly Operation[]): string =>
  operations
    .map(
      ({ direction, chunk, microbatch }) =>
        `${direction[0]?.toUpperCase()}${microbatch}${chunk > 0 ? `c${chunk}` : ''}`,
    )
    .join(' ');

interface Times {
  readonly forward: number;
  readonly backward: number;
  readonly weights: number;
}

/** When the last stage ends, if every stage follows its program as soon as its inputs are there; null: some wait in a circle. */
function played(programs: readonly (readonly Operation[])[], chunks: number, times: Times): number | null {
  const stages = programs.length;
  const last = stages * chunks - 1;
  const done = new Map<string, number>();
  const key = (direction: string, virtual: number, microbatch: number) =>
    `${direction}/${virtual}/${microbatch}`;
  const cursors = programs.map(() => 0);
  const clocks = programs.map(() => 0);
  for (let moved = true; moved;) {
    moved = false;
    programs.forEach((operations, stage) => {
      for (;;) {
        const next = operations[cursors[stage] ?? 0];
        if (next === undefined) return;
        const { direction, chunk, microbatch } = next;
        const virtual = chunk * stages + stage;
        const needs =
          direction === 'forward'
            ? virtual === 0
              ? null
              : key('forward', virtual - 1, microbatch)
            : direction === 'weights'
              ? key('backward', virtual, microbatch)
              : virtual === last
                ? key('forward', virtual, microbatch)
                : key('backward', virtual + 1, microbatch);
        const ready = needs === null ? 0 : done.get(needs);
        if (ready === undefined) return;
        clocks[stage] = Math.max(clocks[stage] ?? 0, ready) + times[direction];
        done.set(key(direction, virtual, microbatch), clocks[stage] ?? 0);
        cursors[stage] = (cursors[stage] ?? 0) + 1;
        moved = true;
      }
    });
  }
  return programs.every(({ length }, stage) => cursors[stage] === length) ? Math.max(...clocks) : null;
}

test('pipeline: the programs of two and four stages', (t) => {
  t.deepEqual(programsOf('1f1b', 2, 3, 1).map(words), ['F0 F1 B0 F2 B1 B2', 'F0 B0 F1 B1 F2 B2']);
  t.deepEqual(programsOf('gpipe', 2, 2, 1).map(words), ['F0 F1 B0 B1', 'F0 F1 B0 B1']);
  t.deepEqual(programsOf('zero-bubble', 2, 3, 1).map(words), [
    'F0 F1 B0 W0 F2 B1 W1 B2 W2',
    'F0 B0 F1 B1 W0 F2 B2 W1 W2',
  ]);
  t.is(
    words(programsOf('interleaved', 2, 4, 2)[1] ?? []),
    'F0 F1 F0c1 B0c1 F1c1 B1c1 F2 B0 F3 B1 F2c1 B2c1 F3c1 B3c1 B2 B3',
  );
  t.is(words(forwardProgram(2, 2)), 'F0 F0c1 F1 F1c1');
});

test('pipeline: passes in flight are as many as the papers say', (t) => {
  const flights = (kind: PipelineKind, microbatches: number, chunks = 1) =>
    programsOf(kind, 4, microbatches, chunks).map(inFlight);
  t.deepEqual(flights('1f1b', 8), [4, 3, 2, 1]);
  t.deepEqual(flights('1f1b', 2), [2, 2, 2, 1]);
  t.deepEqual(flights('gpipe', 8), [8, 8, 8, 8]);
  t.deepEqual(flights('interleaved', 8, 2), [11, 9, 7, 5]);
  t.deepEqual(flights('zero-bubble', 8), [4, 4, 4, 4]);
});

test('pipeline: bubbles are those of the formulas', (t) => {
  const times = { forward: 1, backward: 1.3, weights: 0.8 };
  const bubble = (kind: PipelineKind, stages: number, microbatches: number, chunks: number, each: Times) => {
    const end = played(programsOf(kind, stages, microbatches, chunks), chunks, each) ?? Number.NaN;
    const { forward, backward, weights } = each;
    return end - microbatches * chunks * (forward + backward + (kind === 'zero-bubble' ? weights : 0));
  };
  const near = (found: number, expected: number) => t.true(Math.abs(found - expected) < 1e-9, `${found}`);
  for (const stages of [2, 3, 4, 8]) {
    near(bubble('1f1b', stages, 8, 1, times), (stages - 1) * 2.3);
    near(bubble('gpipe', stages, 8, 1, times), (stages - 1) * 2.3);
    near(bubble('zero-bubble', stages, 8, 1, times), (stages - 1) * 1.5);
  }
  // A chunk of half the layers takes half the time.
  near(bubble('interleaved', 4, 8, 2, { forward: 0.5, backward: 0.65, weights: 0 }), (3 * 2.3) / 2);
});

test('pipeline: every microbatch goes through everything once, in order, and nobody waits in a circle', (t) => {
  for (const kind of kinds)
    for (const stages of [1, 2, 3, 4, 7])
      for (const microbatches of [1, 2, 3, 8, 14])
        for (const chunks of kind === 'interleaved' || kind === 'gpipe' ? [1, 2, 3] : [1]) {
          if (kind === 'interleaved' && microbatches % stages !== 0) continue;
          const what = JSON.stringify({ kind, stages, microbatches, chunks });
          const programs = programsOf(kind, stages, microbatches, chunks);
          t.not(played(programs, chunks, { forward: 1, backward: 2, weights: 1 }), null, what);
          for (const operations of programs) {
            t.is(new Set(operations.map((each) => words([each]))).size, operations.length, what);
            const directions = kind === 'zero-bubble' ? 3 : 2;
            t.is(operations.length, microbatches * chunks * directions, what);
            for (let chunk = 0; chunk < chunks; chunk++) {
              const order = operations
                .filter((each) => each.direction === 'backward' && each.chunk === chunk)
                .map(({ microbatch }) => microbatch);
              t.deepEqual(
                order,
                Array.from({ length: microbatches }, (_, index) => index),
                what,
              );
            }
            assertSlots(t, operations, chunks, what);
          }
        }
});

/** No slot has two passes, also where so many operations may begin before an older one has ended. */
function assertSlots(
  t: {
    readonly false: (value: boolean, what: string) => void;
    readonly true: (value: boolean, what: string) => void;
  },
  operations: readonly Operation[],
  chunks: number,
  what: string,
): void {
  const end = operations.some(({ direction }) => direction === 'weights') ? 'weights' : 'backward';
  for (const width of [1, 2]) {
    const slots = slotsOf(operations, chunks, width);
    const freeFrom = new Map<string, number>();
    operations.forEach(({ direction, chunk, microbatch }, index) => {
      const slot = slots.of(chunk, microbatch);
      const key = `${chunk}/${slot}`;
      t.true(slot < (slots.counts[chunk] ?? 0), what);
      if (direction === 'forward') {
        t.false((freeFrom.get(key) ?? 0) > index, `a slot is taken twice: ${what}`);
        freeFrom.set(key, Infinity);
      } else if (direction === end) freeFrom.set(key, index + width);
    });
  }
}
