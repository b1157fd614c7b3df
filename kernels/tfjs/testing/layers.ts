/** Layers for tests: the model's own FFN, and some that are wrong. */
import type { Tensor2D } from '@tensorflow/tfjs-core';
import { tfjsExpert, type ExpertLayerSize } from '../tfjs-expert.ts';

const module = import.meta.url;
const ffn = ({ dim, hidden }: ExpertLayerSize) => ({
  gate: { shape: [hidden, dim] },
  up: { shape: [hidden, dim] },
  down: { shape: [dim, hidden] },
});

export const swiglu = tfjsExpert({
  name: 'swiglu',
  module,
  parameters: ffn,
  create:
    (tf) =>
    (x, { gate, up, down }) => {
      const before = tf.matMul(x, gate, false, true);
      const h = tf.mul(tf.mul(before, tf.sigmoid(before)), tf.matMul(x, up, false, true));
      return tf.matMul(h, down, false, true);
    },
});

export const transposed = tfjsExpert({
  name: 'transposed',
  module,
  parameters: ffn,
  create: (tf) => (x) => tf.transpose(x),
});

export const forgetful = tfjsExpert({
  name: 'uses no parameter',
  module,
  parameters: ffn,
  create: (tf) => (x) => tf.mul(x, 2),
});

export const broken = tfjsExpert({
  name: 'broken',
  module,
  parameters: ffn,
  create: () => (): Tensor2D => {
    throw new TypeError('planted');
  },
});
