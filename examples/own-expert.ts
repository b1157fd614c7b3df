/**
 * An own expert: y = x + FFN(x) instead of FFN(x), forward and backward: `node examples/dist/own-expert.js`.
 *
 * A rule gets the call that the default expert would make, with every buffer in place, and returns kernel calls that run instead of it,
 * on the same device, in order. These are data, so the same rule runs on every body of `Device`.
 */
import { fileURLToPath } from 'node:url';
import { loadTopology, startCluster, type ExpertRule, type Floats, type Ints, type KernelCall } from 'troupe';
import type { ExampleOptions } from './quickstart-embedding.ts';

/**
 * out_ND[row] = weight[row] · from_UD[slots[row]]: a combine of one choice is a weighted gather.
 *
 * @param weights_N - one a row; absent: 1
 */
function spread(from_UD: Floats, slots_N: Ints, out_ND: Floats, dim: number, weights_N?: Floats): KernelCall {
  return {
    op: 'combine',
    tokens: slots_N.length,
    topK: 1,
    dim,
    parts: [{ firstRow: 0, rows: from_UD.length / dim, data: from_UD }],
    position_TK: slots_N,
    ...(weights_N === undefined ? {} : { weights_TK: weights_N }),
    out_TD: out_ND,
  };
}

/**
 * Every expert keeps its input: with all weights at zero it is the identity, as a block of a residual network.
 *
 * dy/dx = 1 + dFFN/dx, so the gradient of a row's input starts from the row's own output gradient (its combine weight times the
 * token's), and the FFN's backward pass adds to it. The gradients of the weights are those of the FFN.
 */
export const residualExpert: ExpertRule = {
  name: 'x + FFN(x)',
  forward: (call) => [
    ...call.sources.map(({ x_UD, slots_N, y_ND }) => spread(x_UD, slots_N, y_ND, call.dim)),
    { ...call, accumulate: true },
  ],
  backward: (call) => [
    ...call.sources.map(({ dOut_UD, slots_N, dx_ND, rowWeights_N }) =>
      spread(dOut_UD, slots_N, dx_ND, call.dim, rowWeights_N),
    ),
    { ...call, accumulate: true },
  ],
};

/** @returns the loss of every step with residual experts */
export async function main({ steps, set = [], print = console.log }: ExampleOptions = {}): Promise<
  readonly number[]
> {
  const topology = loadTopology('tiny', { set });
  print(`expert: ${residualExpert.name}`);
  const cluster = await startCluster(topology, {
    expert: residualExpert,
    ...(steps === undefined ? {} : { stopAfter: steps }),
  });
  const losses: number[] = [];
  for await (const { step, loss } of cluster.steps()) {
    losses.push(loss);
    print(`step ${step}  loss ${loss.toFixed(4)}`);
  }
  const { error } = await cluster.result;
  if (error !== null) throw error;
  return losses;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
