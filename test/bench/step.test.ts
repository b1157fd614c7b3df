import test from 'ava';
import { benchStep, stepSection } from './step.ts';

test('benchStep: the shipped command trains a small job and every figure is there', async (t) => {
  const races = await benchStep({
    size: 'small',
    jobs: ['coarse'],
    precisions: ['f32'],
    only: /one worker$/u,
    python: null,
  });
  const [row, ...others] = races[0]?.rows ?? [];
  t.is(others.length, 0);
  t.is(row?.refused, null);
  const { tokensPerSecond, mfu, peakBytes, startupSeconds, maxExpertLoad, lastLoss } = row ?? ({} as never);
  t.true(tokensPerSecond > 0 && mfu > 0 && startupSeconds > 0);
  t.true(peakBytes > 100 * 2 ** 20 && peakBytes < 2 ** 31, `${peakBytes} bytes`);
  t.true(maxExpertLoad >= 1 && maxExpertLoad <= 16, `load ${maxExpertLoad}`);
  t.true(lastLoss > 8 && lastLoss < Math.log(8192), `loss ${lastLoss}`);
  t.regex(stepSection(races[0] ?? ({} as never)).text, /\| Troupe, one worker \| \d+ \(/u);
});
