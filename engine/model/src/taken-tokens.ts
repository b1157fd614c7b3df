import { tensorShareOf, tokensOf, type StageShape } from './stage-shape.ts';

/** 1 for each token of a microbatch that this device dispatches; null: all of them. */
export function takenTokens(shape: StageShape): Uint8Array | null {
  const { peers, rank, deals } = tensorShareOf(shape);
  if (deals === null) return null;
  const tokens = tokensOf(shape);
  const each = tokens / (deals === 'grains' ? shape.grains : shape.sequences);
  return Uint8Array.from({ length: tokens }, (_, token) =>
    Math.floor(token / each) % peers === rank ? 1 : 0,
  );
}
