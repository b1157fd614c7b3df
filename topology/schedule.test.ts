import test from 'ava';
import * as fc from 'fast-check';
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
