import type { HostFloats, Prng } from '@troupe/core';
import { GenerationError } from './errors.ts';
import { largest } from './largest.ts';

export interface SamplingOptions {
  /** Divides the logits; 0 always takes the largest. Default 0.8. */
  readonly temperature?: number;
  /** Only the k largest logits can be drawn; 0: all. Default 50. */
  readonly topK?: number;
  /** Only the smallest set of tokens with at least this probability can be drawn, (0, 1]. Default 0.95. */
  readonly topP?: number;
}

/** @throws {GenerationError} TROUPE_MODEL_GENERATION */
export function checkSampling({
  temperature = 0.8,
  topK = 50,
  topP = 0.95,
}: SamplingOptions): Required<SamplingOptions> {
  if (!(temperature >= 0))
    throw new GenerationError(`temperature ${temperature} is not ≥ 0`, { temperature });
  if (!Number.isInteger(topK) || topK < 0)
    throw new GenerationError(`topK ${topK} is not an integer ≥ 0`, { topK });
  if (!(topP > 0 && topP <= 1)) throw new GenerationError(`topP ${topP} is not in (0, 1]`, { topP });
  return { temperature, topK, topP };
}

/** Token ids by falling logit, ties to the lower id. */
function ranked(logits_V: HostFloats, topK: number): number[] {
  // A few of many are found without sorting all.
  if (topK > 0) return largest(logits_V, topK);
  return Array.from(logits_V.keys()).sort((a, b) => (logits_V[b] ?? 0) - (logits_V[a] ?? 0) || a - b);
}

/**
 * Draws one token: temperature, then top-k, then top-p (nucleus) of what is left, then one uniform number.
 *
 * @param logits_V - one row of logits
 * @param draws - draw number 0 of this stream is used
 * @see Holtzman et al. 2019, arXiv:1904.09751 (nucleus sampling)
 */
export function sampleToken(logits_V: HostFloats, options: Required<SamplingOptions>, draws: Prng): number {
  const { temperature, topK, topP } = options;
  const order = ranked(logits_V, temperature === 0 ? 1 : topK);
  const [best] = order;
  if (best === undefined) throw new GenerationError('there are no logits to draw from');
  if (temperature === 0) return best;
  const weights = order.map((id) => Math.exp(((logits_V[id] ?? 0) - (logits_V[best] ?? 0)) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let kept = 0;
  let mass = 0;
  for (const weight of weights) {
    mass += weight;
    kept += 1;
    if (mass >= topP * total) break;
  }
  let left = draws.uniform(0) * mass;
  for (let index = 0; index < kept; index++) {
    left -= weights[index] ?? 0;
    if (left < 0) return order[index] ?? best;
  }
  return order[kept - 1] ?? best;
}
