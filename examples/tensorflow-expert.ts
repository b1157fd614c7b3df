/**
 * An expert as a TensorFlow.js layer, with parameters of its own: `node examples/dist/tensorflow-expert.js`.
 *
 * Only the forward pass is written; TensorFlow.js derives the gradients. Troupe draws the parameters, sums their gradients exactly over
 * grains, updates and checkpoints them, and moves rows between the devices: nothing of that is here.
 */
import { fileURLToPath } from 'node:url';
import { loadTopology, startCluster, tfjsExpert } from 'troupe';
import type { ExampleOptions } from './quickstart-embedding.ts';

/** y = scale ⊙ down·relu(up·x + bias)² (squared ReLU: So et al. 2021, arXiv:2109.08668). */
export const squaredRelu = tfjsExpert({
  name: 'squared ReLU',
  module: import.meta.url,
  parameters: ({ dim, hidden }) => ({
    up: { shape: [hidden, dim] },
    bias: { shape: [hidden] },
    down: { shape: [dim, hidden] },
    scale: { shape: [dim], init: { kind: 'constant', value: 1 } },
  }),
  create:
    (tf) =>
    (x, { up, bias, down, scale }) => {
      const before = tf.add(tf.matMul(x, up, false, true), bias);
      return tf.mul(tf.matMul(tf.square(tf.relu(before)), down, false, true), scale);
    },
});

/** @returns the loss of every step */
export async function main({ steps, set = [], print = console.log }: ExampleOptions = {}): Promise<
  readonly number[]
> {
  const topology = loadTopology('tiny', { set: ['device=tfjs', ...set] });
  const cluster = await startCluster(topology, {
    expert: squaredRelu,
    ...(steps === undefined ? {} : { stopAfter: steps }),
  });
  const losses: number[] = [];
  for await (const event of cluster.events()) {
    if (event.event === 'start') print(`expert: ${squaredRelu.name}, on ${event.device}`);
    if (event.event !== 'step') continue;
    losses.push(event.loss);
    print(`step ${event.step}  loss ${event.loss.toFixed(4)}`);
  }
  const { error } = await cluster.result;
  if (error !== null) throw error;
  return losses;
}

// The devices' threads load this module too, for the expert; there, the program is another file.
if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
