import type { Floats } from '@troupe/kernel-set';
import type { Arena } from './arena.ts';
import { tensorShareOf, tokensOf, type StageShape } from './stage-shape.ts';
import { noSum, sumBuffers, type SumBuffers } from './sum-buffers.ts';
import { isWhole, numHeld } from './tensor-share.ts';

/** Sums over the rows of a norm that is divided, [T]: of squares forward, of products backward. */
export interface NormSum {
  readonly of: SumBuffers;
  readonly total_T: Floats;
}

export interface NormSums {
  readonly query: NormSum;
  readonly key: NormSum;
}

/** Of a norm over the full width of queries or keys segments have parts; one of the residual stream or of a head is never divided. */
export const hasNormSums = (shape: StageShape): boolean =>
  shape.config.qkNorm === 'full' && !isWhole(tensorShareOf(shape));

/** Null where no norm is divided. */
export function normSums(arena: Arena, shape: StageShape): NormSums | null {
  if (!hasNormSums(shape)) return null;
  const { peers, segments } = tensorShareOf(shape);
  const size = tokensOf(shape);
  const sum = (): NormSum => {
    const [of = noSum] = sumBuffers(arena, { peers, held: numHeld(segments) }, size);
    return { of, total_T: arena.floats(size) };
  };
  return { query: sum(), key: sum() };
}
