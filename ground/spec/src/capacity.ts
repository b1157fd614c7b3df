import type { DropPolicy } from '@troupe/kernel-set';

export { dropPolicies } from '@troupe/kernel-set';

/**
 * Room of an expert for the tokens of a grain, as a factor of its even share: 0 as much as needed; negative as needed, at most that.
 *
 * @see Fedus et al. 2021 (Switch), arXiv:2101.03961, §2.2; Kim et al. 2021, arXiv:2109.10465, §2.1
 */
export interface CapacityConfig {
  readonly train: number;
  readonly eval: number;
  /** Rows that there is room for at least. */
  readonly min: number;
  /** Which rows stay. */
  readonly drop: DropPolicy;
  /** By the sum of which probabilities those of a token are divided where they are renormalised: of the choices that were kept, or of all. */
  readonly weights: 'kept' | 'chosen';
}

/** Nothing is dropped. */
export const dropless: CapacityConfig = { train: 0, eval: 0, min: 4, drop: 'random', weights: 'kept' };

/** Capacity factors are counted in millionths: float64 would give 111 rows for 1.1 times 1,000 tokens over 10 experts. */
export const millionths = (factor: number): number => Math.round(factor * 1e6);
