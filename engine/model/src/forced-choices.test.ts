import test from 'ava';
import * as fc from 'fast-check';
import { forcedChoices } from './forced-choices.ts';
import { tinyConfig } from './testing/tiny-model.ts';

const shapes = fc
  .record({
    experts: fc.integer({ min: 1, max: 40 }),
    topK: fc.integer({ min: 1, max: 8 }),
    first: fc.nat(1e6),
  })
  .filter(({ experts, topK }) => topK <= experts);

for (const choice of ['balanced', 'skewed'] as const) {
  test(`forced choices: ${choice}: distinct experts, and any cut of the tokens agrees`, (t) => {
    fc.assert(
      fc.property(shapes, ({ experts, topK, first }) => {
        const config = tinyConfig({ moe: { experts, topK, choice } });
        const all = forcedChoices(config, 20, first)!;
        const tail = forcedChoices(config, 12, first + 8)!;
        t.deepEqual(all.slice(8 * topK), tail);
        for (let token = 0; token < 20; token++) {
          const chosen = all.slice(token * topK, (token + 1) * topK);
          t.is(new Set(chosen).size, topK);
          t.true(chosen.every((expert) => expert >= 0 && expert < experts));
        }
      }),
      { numRuns: 60 },
    );
  });
}

test('forced choices: balanced fills all experts alike, skewed puts 70 % on the first K', (t) => {
  const share = (choice: 'balanced' | 'skewed'): number => {
    const config = tinyConfig({ moe: { experts: 16, topK: 2, choice } });
    const choices = forcedChoices(config, 4096, 0)!;
    return choices.filter((expert) => expert < 2).length / choices.length;
  };
  t.is(share('balanced'), 2 / 16);
  t.log(`skewed ${share('skewed')}`);
  t.true(Math.abs(share('skewed') - 0.7) < 0.02);
  t.is(forcedChoices(tinyConfig(), 4, 0), null);
});
