import test from 'ava';
import { ScalingBudgetError } from './errors.ts';
import { bestJoint, jointOptimum } from './joint-optimum.ts';
import { jointLawOf, lawSet } from './law-sets.ts';

const law = jointLawOf(lawSet('joint'));
const off = (found: number, expected: number): number => Math.abs(found / expected - 1);

test('joint law: sizes, tokens and losses at 1e20 FLOPs', (t) => {
  for (const [experts, active, tokens, loss] of [
    [1, 1.73e9, 9.65e9, 2.59],
    [8, 0.99e9, 16.8e9, 2.529],
    [16, 0.81e9, 20.5e9, 2.501],
  ] as const) {
    const found = jointOptimum(law, { flops: 1e20 }, experts);
    t.true(off(found.paramsActive, active) < 0.005, `${found.paramsActive}`);
    t.true(off(found.tokens, tokens) < 0.005, `${found.tokens}`);
    t.true(Math.abs(found.loss - loss) < 6e-4, `${found.loss}`);
  }
});

test('joint law: memory is a bound that is reached and not passed, and costs loss', (t) => {
  const free = jointOptimum(law, { flops: 1e20 }, 8);
  const bound = jointOptimum(law, { flops: 1e20, paramsMost: free.params / 3 }, 8);
  t.true(off(bound.params, free.params / 3) < 1e-6);
  t.true(bound.params <= free.params / 3);
  t.true(bound.loss > free.loss);
  t.true(off(6 * bound.paramsActive * bound.tokens, 1e20) < 1e-9);
  const roomy = jointOptimum(law, { flops: 1e20, paramsMost: free.params * 3 }, 8);
  t.true(off(roomy.paramsActive, free.paramsActive) < 1e-3);
  // Without a bound more experts are better; in little memory fewer, of more active parameters each.
  t.true(bestJoint(law, { flops: 1e20 }).experts > bestJoint(law, { flops: 1e20, paramsMost: 1e9 }).experts);
});

test('joint law: tokens of inference make the model smaller and are paid from the budget', (t) => {
  const free = jointOptimum(law, { flops: 1e20 }, 8);
  const inferenceTokens = 100e9;
  const served = jointOptimum(law, { flops: 1e20, inferenceTokens }, 8);
  t.true(served.paramsActive < free.paramsActive);
  t.true(
    off(6 * served.paramsActive * served.tokens + 2 * served.paramsActive * inferenceTokens, 1e20) < 1e-9,
  );
  for (const factor of [0.99, 1.01]) {
    const paramsMost = served.params * factor;
    t.true(jointOptimum(law, { flops: 1e20, inferenceTokens, paramsMost }, 8).loss >= served.loss - 1e-9);
  }
});

test('joint law: what no model fits is refused', (t) => {
  const error = t.throws(() => jointOptimum(law, { flops: 1e10, inferenceTokens: 1e9 }, 8), {
    instanceOf: ScalingBudgetError,
  });
  t.regex(error.message, /^no model of 8 experts fits: .* 1\.00e\+9 tokens of inference; allow more$/);
});
