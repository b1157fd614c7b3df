import test from 'ava';
import * as tf from '@tensorflow/tfjs-core';
import { largestError } from '../conformance/compare.ts';
import { openBackend } from './backend.ts';
import { withExplicitTransposes } from './explicit-transposes.ts';
import { registerGradients } from './gradient-modules.ts';

/** Value and gradients of a product of two operands. */
function productOf(
  use: Pick<typeof tf, 'matMul'>,
  [a, b]: readonly [tf.Tensor, tf.Tensor],
  transposeA = false,
  transposeB = false,
) {
  const value = (left: tf.Tensor, right: tf.Tensor) =>
    tf.square(use.matMul(left, right, transposeA, transposeB));
  return [value(a, b), ...tf.grads((left, right) => value(left, right))([a, b])];
}

const wave = (shape: number[], phase: number): tf.Tensor =>
  tf.reshape(
    tf.sin(
      tf.add(
        tf.range(
          0,
          shape.reduce((x, y) => x * y, 1),
        ),
        phase,
      ),
    ),
    shape,
  );

test('explicit transposes: values and gradients of every product are those of the flags', async (t) => {
  await openBackend({ backend: 'cpu', tensorflowFolder: '' });
  await registerGradients();
  const agree = (found: readonly tf.Tensor[], expected: readonly tf.Tensor[]): void =>
    found.forEach((tensor, i) => {
      t.deepEqual(tensor.shape, expected[i]!.shape);
      t.true(largestError(tensor.dataSync(), expected[i]!.dataSync()) < 1e-5);
    });
  const cases = [false, true].flatMap((transposeA) =>
    [false, true].flatMap((transposeB) =>
      [[], [2]].map((batch) => {
        const [left, right] = [transposeA ? [4, 3] : [3, 4], transposeB ? [5, 4] : [4, 5]];
        const operands = [wave([...batch, ...left], 0), wave([...batch, ...right], 1)] as const;
        return { operands, transposeA, transposeB };
      }),
    ),
  );
  // The gradient is replaced for the whole thread: what the flags give has to be known before.
  const expected = cases.map(({ operands, transposeA, transposeB }) =>
    productOf(tf, operands, transposeA, transposeB),
  );
  const explicit = withExplicitTransposes(tf);
  cases.forEach(({ operands, transposeA, transposeB }, i) =>
    agree(productOf(explicit, operands, transposeA, transposeB), expected[i]!),
  );
  cases.forEach(({ operands, transposeA, transposeB }, i) =>
    agree(productOf(tf, operands, transposeA, transposeB), expected[i]!),
  );
  const [a, b] = [wave([2, 3, 4], 0), wave([1, 4, 5], 1)];
  const [value, da, db] = productOf(explicit, [a, tf.tile(b, [2, 1, 1])]);
  agree(productOf(explicit, [a, b]), [value!, da!, tf.sum(db!, 0, true)]);
});
