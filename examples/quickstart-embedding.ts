/**
 * Trains a small Mixture-of-Experts model inside this program: `node examples/dist/quickstart-embedding.js`.
 *
 * The same actors as `troupe launch`, over memory instead of sockets, so the losses are the same, bit for bit.
 */
import { fileURLToPath } from 'node:url';
import { loadTopology, startCluster } from 'troupe';

export interface ExampleOptions {
  /** Steps to run; default: the whole schedule of the preset. */
  readonly steps?: number;
  /** Overrides of the topology, as `--set` takes them. */
  readonly set?: readonly string[];
  readonly print?: (line: string) => void;
}

/** @returns the loss of every step, nats a token */
export async function main({ steps, set = [], print = console.log }: ExampleOptions = {}): Promise<
  readonly number[]
> {
  const topology = loadTopology('tiny', { set });
  const cluster = await startCluster(topology, steps === undefined ? {} : { stopAfter: steps });
  const losses: number[] = [];
  for await (const { step, loss, tokensPerSecond, maxExpertLoad } of cluster.steps()) {
    losses.push(loss);
    print(
      `step ${step}  loss ${loss.toFixed(4)}  ${Math.round(tokensPerSecond)} tokens/s  hottest expert ${maxExpertLoad.toFixed(2)} × mean`,
    );
  }
  const { error } = await cluster.result;
  if (error !== null) throw error;
  return losses;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
