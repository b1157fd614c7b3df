import type { Floats, Ints } from './device-array.ts';

/** What one source (a rank of the expert-parallel group) sends an expert group, and where its answers go. */
export interface ExpertSource {
  /** Distinct tokens, [U, D]. */
  readonly x_UD: Floats;
  /** Row → token in x_UD; absent: the identity (a dense FFN). Rows sorted by (expert, grain, token). */
  readonly slots_N?: Ints;
  /** Rows of each (local expert, grain of this source), [E, G_s] row-major. */
  readonly counts_EG: Ints;
  readonly numGrains: number;
}
