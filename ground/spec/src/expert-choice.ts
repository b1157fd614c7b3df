import type { MoeConfig } from './model-config.ts';

type Choice = Pick<MoeConfig, 'experts' | 'topK' | 'router'>;

/** Whether experts choose their tokens. */
export const expertsChoose = ({ router }: Pick<MoeConfig, 'router'>): boolean =>
  router.kind === 'expert-choice';

/** Whether a model learns by which thresholds its experts choose where there is no group: in generation. */
export const hasThresholds = (moe: Pick<MoeConfig, 'router'>): boolean =>
  expertsChoose(moe) && moe.router.generate === 'thresholds';

/**
 * Places for the choices of a token, K of arrays [T, K]: topK, or under expert choice one an expert, since all of them may take the token:
 * place e then holds e or -1.
 */
export const choiceWidth = (moe: Choice): number => (expertsChoose(moe) ? moe.experts : moe.topK);

/** Consecutive sequences that routing looks at together in an evaluation: a choice group, or the grain that an expert has room for; 1: each by itself. */
export function routingDomain(
  moe: (Choice & Pick<MoeConfig, 'capacity'>) | null,
  sequencesPerGrain: number,
): number {
  if (moe === null) return 1;
  if (expertsChoose(moe)) return moe.router.groupSequences;
  return moe.capacity.eval === 0 ? 1 : sequencesPerGrain;
}

/**
 * Tokens that an expert takes of a group of n without padding, so that a token has `topK` experts on average: n·topK / experts, rounded half
 * up in integers. 0 where the group is too small.
 *
 * @see Krajewski et al. 2024, arXiv:2402.07871, §3.1; Zhou et al. 2022, arXiv:2202.09368, eq. 1
 */
export function expertTake({ experts, topK, router: { groupSequences } }: Choice): number {
  return Math.floor((2 * groupSequences * topK + experts) / (2 * experts));
}

/** Experts of a token on average, where there is no padding: topK, or what whole tokens of whole groups come to. */
export const meanChoices = (moe: Choice): number =>
  expertsChoose(moe) ? (moe.experts * expertTake(moe)) / moe.router.groupSequences : moe.topK;
