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

test('progress: what is unknown is a dash, a skipped step is said', (t) => {
  const text = shown({ isTerminal: false, end: 2 }, [
    step(1, { mfu: null, hottest: null, skipped: true, loss: Number.NaN }),
  ]);
  t.is(text, 'step 1/300  loss -  500 tokens/s  MFU -  skipped: the gradient was not finite  2s left\n');
});

test('progress: a line never wraps on a narrow terminal', (t) => {
  t.is(
    shown({ isTerminal: true, end: 300, columns: () => 24 }, [step(1)]),
    '\r\u001b[2Kstep 1/300  loss 2.5000\n',
  );
});
