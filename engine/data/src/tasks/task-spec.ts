import type { Noise } from './noise.ts';

export const taskKinds = ['translation', 'denoising', 'language-model'] as const;

/** A task as a topology says it. */
export interface TaskSpec {
  readonly kind: (typeof taskKinds)[number];
  /** Share of the batches, any scale. Default 1. */
  readonly weight?: number;
  /** Whether the held-out loss counts its held-out texts. Default true. */
  readonly evaluate?: boolean;
  /** Of its languages: p ∝ windows^(1/temperature), ≥ 1. Default 1. */
  readonly temperature?: number;
  /** Translation: `en-de` and others. Default: all that the texts have, in both directions. */
  readonly pairs?: readonly string[];
  /** Denoising and language model. Default: all. */
  readonly languages?: readonly string[];
  /** Denoising: `spans` alone, or others one after the other. Default spans. */
  readonly noise?: readonly Noise[];
}
