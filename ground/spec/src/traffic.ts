import { expertsChoose, meanChoices } from './expert-choice.ts';
import type { MoeConfig } from './model-config.ts';

/**
 * Share of the tokens that visit at least one of a rank's experts when choices are even: 1 - C(E-n, K) / C(E, K).
 *
 * A token travels once to a rank that holds several of its experts, so this, not K/ep, is what dispatch costs.
 */
export function visitShare(experts: number, perRank: number, topK: number): number {
  let missed = 1;
  for (let choice = 0; choice < topK; choice++)
    missed *= Math.max(0, experts - perRank - choice) / (experts - choice);
  return 1 - missed;
}

/** The same of the router of a model. Where experts choose, each takes a token or not, whoever else does. */
export function visitedShare(moe: MoeConfig, perRank: number): number {
  if (!expertsChoose(moe)) return visitShare(moe.experts, perRank, moe.topK);
  return 1 - (1 - meanChoices(moe) / moe.experts) ** perRank;
}
