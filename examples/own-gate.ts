/**
 * An own router: top-k of the logits plus noise, so that tokens explore other experts: `node examples/dist/own-gate.js`.
 *
 * A gate is a pure function of a token's logits and of *where* the token is (step, layer, index in the global batch). The noise is
 * keyed by that place and by nothing else, so any layout draws the same: the losses do not change when `parallel` does.
 *
 * @see Shazeer et al. 2017, arXiv:1701.06538, eq. 4 (here with a fixed instead of a learned scale)
 */
import { fileURLToPath } from 'node:url';
import { loadTopology, prng, startCluster, type GateRule } from 'troupe';
import type { ExampleOptions } from './quickstart-embedding.ts';

/** The k largest scores, ties to the lower expert, in falling order. */
function topExperts(scores: readonly number[], topK: number): readonly number[] {
  return scores
    .map((score, expert) => ({ score, expert }))
    .sort((a, b) => b.score - a.score || a.expert - b.expert)
    .slice(0, topK)
    .map(({ expert }) => expert);
}

/** @param scale - half width of the uniform noise that is added to every logit; 0 is the model's own gate */
export function noisyGate(seed: number, scale: number): GateRule {
  return {
    name: `top-k with noise ±${scale}`,
    choose: (logits_TE, { tokens, experts, topK, step, layer, firstToken }) => {
      const choices_TK = new Int32Array(tokens * topK);
      for (let token = 0; token < tokens; token++) {
        const noise = prng({
          seed,
          purpose: 'example.gate-noise',
          step,
          layer,
          position: firstToken + token,
        });
        const scores = Array.from({ length: experts }, (_, expert) => {
          const logit = logits_TE[token * experts + expert] ?? 0;
          return logit + scale * (2 * noise.uniform(expert) - 1);
        });
        choices_TK.set(topExperts(scores, topK), token * topK);
      }
      return choices_TK;
    },
  };
}

/** @returns the loss of every step with the noisy gate */
export async function main({ steps, set = [], print = console.log }: ExampleOptions = {}): Promise<
  readonly number[]
> {
  const topology = loadTopology('tiny', { set });
  const gate = noisyGate(topology.train.seed, 0.5);
  print(`gate: ${gate.name}`);
  const cluster = await startCluster(topology, {
    gate,
    ...(steps === undefined ? {} : { stopAfter: steps }),
  });
  const losses: number[] = [];
  for await (const { step, loss, maxExpertLoad } of cluster.steps()) {
    losses.push(loss);
    print(`step ${step}  loss ${loss.toFixed(4)}  hottest expert ${maxExpertLoad.toFixed(2)} × mean`);
  }
  const { error } = await cluster.result;
  if (error !== null) throw error;
  return losses;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
