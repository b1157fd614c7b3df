import type { Floats, Halves } from '@troupe/kernel-set';
import { latentWidth, mixerOf } from '@troupe/spec';
import type { Arena } from './arena.ts';
import { tokensOf, type StageShape } from './stage-shape.ts';

/**
 * What latent attention keeps beside queries, keys and values; L = width of the latents and of the turned part of keys, R = without that
 * part. No kernel fills it yet: it is what a plan counts.
 */
export interface LatentActivations {
  readonly down_TL: Floats;
  /** Read by products alone, so kept in their precision. */
  readonly normed_TR: Floats | Halves;
  /** Of both norms. */
  readonly stats_T2: Floats;
}

export interface LatentGradients {
  readonly dDown_TL: Floats;
  readonly dNormed_TR: Floats;
}

function widthsOf({ config }: StageShape): { readonly down: number; readonly normed: number } | null {
  const mixer = mixerOf(config);
  if (mixer.latent === null) return null;
  return { down: latentWidth(mixer), normed: mixer.latent.qRank + mixer.latent.kvRank };
}

/** Of one layer; null: its attention has no latents. */
export function latentActivations(arena: Arena, shape: StageShape): LatentActivations | null {
  const [T, widths] = [tokensOf(shape), widthsOf(shape)];
  if (widths === null) return null;
  return {
    down_TL: arena.floats(T * widths.down),
    normed_TR: arena.operands(T * widths.normed, shape.precision),
    stats_T2: arena.floats(T * 2),
  };
}

/** Of one microbatch. */
export function latentGradients(arena: Arena, shape: StageShape): LatentGradients | null {
  const [T, widths] = [tokensOf(shape), widthsOf(shape)];
  if (widths === null) return null;
  return { dDown_TL: arena.floats(T * widths.down), dNormed_TR: arena.floats(T * widths.normed) };
}
