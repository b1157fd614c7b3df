import test from 'ava';
import * as fc from 'fast-check';
import { numbersFingerprint } from './fingerprint.ts';
import { resolveTopology } from './resolve.ts';
import { learningRate, type ScheduleConfig } from './schedule.ts';

const config = (over: Partial<ScheduleConfig['optimizer']> = {}): ScheduleConfig => ({
  steps: 100,
  optimizer: { lr: 1, lrMin: 0.1, schedule: 'cosine', warmup: 0.1, ...over },
});

test('learningRate: rises from lr / warmup to lr at the last warm-up step', (t) => {
  t.is(learningRate(config(), 1), 0.1);
  t.is(learningRate(config(), 5), 0.5);
  t.is(learningRate(config(), 10), 1);
});

test('learningRate: is halfway between lr and lrMin halfway down, and lrMin at the end and beyond', (t) => {
  for (const schedule of ['cosine', 'linear'] as const) {
    t.true(Math.abs(learningRate(config({ schedule }), 55) - 0.55) < 1e-12);
    t.is(learningRate(config({ schedule }), 100), 0.1);
    t.is(learningRate(config({ schedule }), 500), 0.1);
  }
  t.true(
    Math.abs(learningRate(config(), 32.5 + 0.5) - (0.1 + 0.9 * 0.5 * (1 + Math.cos((Math.PI * 23) / 90)))) <
      1e-15,
  );
});

test('learningRate: constant stays at lr', (t) => {
  t.is(learningRate(config({ schedule: 'constant' }), 100), 1);
});

test('learningRate: wsd rises, stays at lr, and falls along a line in the last share of the steps', (t) => {
  const wsd = config({ schedule: 'wsd', decay: 0.2 });
  const rates = [1, 5, 10, 11, 80, 85, 90, 100, 500].map((step) => learningRate(wsd, step));
  t.deepEqual(
    rates.map((rate) => Number(rate.toFixed(12))),
    [0.1, 0.5, 1, 1, 1, 0.775, 0.55, 0.1, 0.1],
  );
  t.is(learningRate(config({ schedule: 'wsd', decay: 0 }), 100), 1);
  const whole = { schedule: 'wsd', warmup: 0.1, decay: 0.9 } as const;
  for (const step of [1, 10, 11, 55, 100])
    t.is(learningRate(config(whole), step), learningRate(config({ schedule: 'linear' }), step));
});

test('learningRate: an extended wsd run goes on at lr where it was stable', (t) => {
  const wsd = config({ schedule: 'wsd', decay: 0.2 });
  const extended = { ...wsd, steps: 200, optimizer: { ...wsd.optimizer, warmup: 0.05 } };
  for (const step of [1, 10, 11, 80]) t.is(learningRate(extended, step), learningRate(wsd, step));
  t.is(learningRate(extended, 160), 1);
  t.is(learningRate(extended, 200), 0.1);
  t.is(learningRate({ ...wsd, steps: 200, scheduleFrom: 100 }, 180), 1);
});

test('learningRate: without warm-up starts below lr and never rises', (t) => {
  fc.assert(
    fc.property(
      fc.constantFrom('cosine' as const, 'linear' as const),
      fc.integer({ min: 2, max: 99 }),
      (schedule, step) => {
        const train = config({ schedule, warmup: 0 });
        t.true(learningRate(train, step) <= learningRate(train, step - 1));
        t.true(learningRate(train, 1) < 1);
      },
    ),
  );
});

test('learningRate: refuses step 0', (t) => {
  t.throws(() => learningRate(config(), 0), { code: 'TROUPE_INVARIANT' });
});

test('numbersFingerprint: another last bit of a rate, or of what is raised to a power, is another one; a layout is not', (t) => {
  const of = (over: object = {}): string => numbersFingerprint(resolveTopology({ model: {}, ...over }));
  const known = of();
  t.regex(known, /^[0-9a-f]{64}$/u);
  t.is(of({ parallel: { dp: 4 } }), known);
  t.not(of({ train: { optimizer: { lr: 3e-3 + 2 ** -61 } } }), known);
  t.not(of({ train: { optimizer: { betas: [0.9, 0.999] } } }), known);
  t.not(of({ model: { rope: { theta: 10_000 + 2 ** -39 } } }), known);
  t.is(of(), known);
});
