import { assert } from '@troupe/core';
import type { ModelConfig } from '@troupe/spec';

/** Share of the choices that the skewed pattern puts on experts 0 … K-1. */
const SKEWED_SHARE = 0.7;

function moeOf(config: ModelConfig) {
  assert(config.moe !== null, 'forced choices need experts');
  return config.moe;
}

/** True for `SKEWED_SHARE` of all (token, choice) pairs, by a hash of the pair's number alone. */
function staysOnHotExpert(pair: number): boolean {
  return (Math.imul(pair ^ (pair >>> 15), 0x9e3779b1) >>> 0) / 0x100000000 < SKEWED_SHARE;
}

/**
 * Choices that need no router, [tokens, K]; for speed runs and tests.
 *
 * `balanced`: choice j of token t is (t·K + j) mod E. `skewed`: about 70 % of the choices fall on experts 0 … K-1, the
 * rest spread evenly. No token picks an expert twice. t counts tokens of the *global* batch (sequence · seqLen + position),
 * so the pattern is the same in every layout; null for a learned router.
 *
 * @param firstToken - global index of the first token
 */
export function forcedChoices(config: ModelConfig, tokens: number, firstToken: number): Int32Array | null {
  const { experts, topK, choice } = moeOf(config);
  if (choice === 'learned') return null;
  const cold = experts - topK;
  return Int32Array.from({ length: tokens * topK }, (_, index) => {
    const pair = firstToken * topK + index;
    if (choice === 'balanced') return pair % experts;
    const slot = index % topK;
    // Choice j < cold of a token spreads to cold expert (first + j) mod cold: distinct for distinct j.
    return slot >= cold || staysOnHotExpert(pair) ? slot : topK + (pair % cold);
  });
}
