import test from 'ava';
import type { StepEvent } from '@troupe/telemetry';
import { Progress } from './progress.ts';
import { Tally } from './tally.ts';

const step = (index: number, more: Partial<StepEvent> = {}): StepEvent => ({
  event: 'step',
  step: index,
  loss: 2.5,
  auxLoss: 0.01,
  gradNorm: 1,
  learningRate: 1e-3,
  tokens: 1000,
  tokensPerSecond: 500,
  mfu: 0.314,
  maxExpertLoad: 2.14,
  maxVio: 1.14,
  dropRate: 0,
  hottest: { layer: 3, expert: 7 },
  kernelShare: 0.5,
  attempts: 1,
  skipped: false,
  ...more,
});

function shown(
  options: { readonly isTerminal: boolean; readonly end: number; readonly columns?: () => number },
  events: readonly Parameters<Progress['show']>[0][],
): string {
  const tally = new Tally();
  let text = '';
  const progress = new Progress(
    { steps: 300, first: 0, columns: () => 120, ...options, write: (part) => (text += part) },
    tally,
  );
  for (const event of events) {
    tally.add(event);
    progress.show(event);
  }
  progress.close();
  return text;
}

test('progress: a terminal gets one line that is rewritten, and what stays below it', (t) => {
  const text = shown({ isTerminal: true, end: 300 }, [
    step(1),
    step(2),
    { event: 'eval', step: 2, loss: 2.25, tokens: 1500 },
    step(3),
  ]);
  const line = (index: number, left: string): string =>
    `\r\u001b[2Kstep ${index}/300  loss 2.5000  500 tokens/s  MFU 31.4%  hottest L3/e7 ×2.1  ${left} left`;
  t.is(
    text,
    `${line(1, '9m 58s')}${line(2, '9m 56s')}\nstep 2: held-out loss 2.2500 over 1.50k tokens\n${line(3, '9m 54s')}\n`,
  );
});

test('progress: elsewhere about thirty plain lines, the first and the last among them', (t) => {
  const text = shown(
    { isTerminal: false, end: 299 },
    Array.from({ length: 299 }, (_, index) => step(index + 1)),
  );
  const steps = [...text.matchAll(/^step (\d+)\/300/gm)].map((match) => Number(match[1]));
  t.is(steps.length, 31);
  t.deepEqual([steps[0], steps[1], steps.at(-2), steps.at(-1)], [1, 10, 290, 299]);
  t.false(text.includes('\u001b'));
});

test('progress: what is unknown is a dash, a loss that is none is named, a skipped step is said', (t) => {
  const text = shown({ isTerminal: false, end: 2 }, [
    step(1, { mfu: null, hottest: null, skipped: true, loss: Number.NaN }),
  ]);
  t.is(
    text,
    'step 1/300  loss overflow  500 tokens/s  MFU -  skipped: the gradient was not finite  2s left\n',
  );
});

test('tally: the mean utilisation leaves out steps whose own is not known', (t) => {
  const tally = new Tally();
  t.is(tally.mfu, null);
  tally.add(step(1, { mfu: null }));
  t.is(tally.mfu, null);
  tally.add(step(2, { mfu: 0.5, tokens: 100, tokensPerSecond: 100 }));
  tally.add(step(3, { mfu: 0.2, tokens: 100, tokensPerSecond: 50 }));
  t.is(tally.mfu, 0.3);
});

test('progress: where there is no room for all, what matters most stays whole', (t) => {
  const long = step(1, { loss: 10.25, tokensPerSecond: 123_456, hottest: { layer: 11, expert: 127 } });
  const at = (columns: number): string =>
    shown({ isTerminal: true, end: 100_000, columns: () => columns }, [long])
      .slice(5)
      .trimEnd();
  t.is(at(120), 'step 1/300  loss 10.2500  123k tokens/s  MFU 31.4%  hottest L11/e127 ×2.1  13m 30s left');
  t.is(at(80), 'step 1/300  loss 10.2500  123k tokens/s  hottest L11/e127 ×2.1  13m 30s left');
  t.is(at(60), 'step 1/300  loss 10.2500  123k tokens/s  13m 30s left');
  t.is(at(40), 'step 1/300  loss 10.2500  13m 30s left');
  t.is(at(30), 'step 1/300  loss 10.2500');
  t.is(at(12), 'step 1/300');
  t.is(at(8), 'step 1/');
  for (let columns = 2; columns < 130; columns++) t.true(at(columns).length < columns, `${columns} columns`);
});

test('progress: a terminal that does not know its width is taken for one of 80 columns', (t) => {
  const at = (columns: number): string =>
    shown({ isTerminal: true, end: 300, columns: () => columns }, [step(1)]);
  t.is(at(0), at(80));
});

test('progress: one step that is computed again is one', (t) => {
  const event = { event: 'recovered', worker: 'worker/1', ms: 1200, from: 'snapshot', step: 4 } as const;
  const text = (repeatedSteps: number): string =>
    shown({ isTerminal: false, end: 9 }, [{ ...event, repeatedSteps } as never]);
  t.regex(text(1), /; 1 step is computed again\n$/);
  t.regex(text(2), /; 2 steps are computed again\n$/);
});

test('progress: experts that moved are a line that stays', (t) => {
  const event = { event: 'experts', step: 200, moved: 1160, gain: 0.1332, ms: 400 } as const;
  t.is(
    shown({ isTerminal: false, end: 300 }, [event]),
    'step 200: 1.16k experts sit in other groups; the fullest ones get 13 % fewer rows\n',
  );
});

test('progress: a task that takes long is told, on a terminal until the next line', (t) => {
  const reading = {
    event: 'progress',
    task: 'cutting text into tokens',
    unit: 'bytes',
    done: 3 * 2 ** 20,
    of: 12 * 2 ** 20,
  } as const;
  const evaluating = { event: 'progress', task: 'evaluating', unit: 'sequences', done: 40, of: 400 } as const;
  const text = 'cutting text into tokens: 3.00 MiB of 12.0 MiB (25.0%)';
  t.is(
    shown({ isTerminal: false, end: 2 }, [reading, evaluating, { ...evaluating, of: null }]),
    `${text}\nevaluating: 40 of 400 sequences (10.0%)\nevaluating: 40 sequences\n`,
  );
  t.is(
    shown({ isTerminal: true, end: 300, columns: () => 24 }, [reading]),
    `\r\u001b[2K${text.slice(0, 23)}\n`,
  );
});

test('progress: who is waited for has a name, of many the first ones', (t) => {
  const waiting = (count: number) => ({
    event: 'waiting' as const,
    machines: Array.from({ length: count }, (_, index) => `gpu-${index}`),
    of: 16,
    seconds: 39.6,
  });
  t.is(
    shown({ isTerminal: false, end: 30 }, [waiting(2), waiting(10)]),
    'waiting for 2 of 16 machines (gpu-0, gpu-1) for 40 s\nwaiting for 10 of 16 machines (gpu-0, gpu-1, gpu-2, gpu-3, gpu-4, gpu-5, gpu-6, gpu-7, 2 more) for 40 s\n',
  );
});
