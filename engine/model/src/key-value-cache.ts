import { assert } from '@troupe/core';
import type { Device, Floats, Ints } from '@troupe/kernel-set';
import { mixerOf, type ModelConfig } from '@troupe/spec';
import { headsOfSegment, numHeld, type TensorShare } from './tensor-share.ts';

/** Keys and values of one segment of a layer, [slots · length, stride]: keys in front, values behind them. */
export interface CachedRows {
  readonly data: Floats;
  readonly stride: number;
  readonly keyWidth: number;
}

/** Texts whose earlier positions are kept. */
export interface CacheShape {
  /** Texts that have room. */
  readonly slots: number;
  /** Positions of each. */
  readonly length: number;
}

/** Floats of keys and values that one position of one layer leaves. */
function widthOf(config: ModelConfig, { segments }: TensorShare): number {
  const { widths } = headsOfSegment(mixerOf(config), segments.count);
  return numHeld(segments) * (widths.k + widths.v);
}

/** Numbers that a cache holds: slots · length · layers · (keys + values of a position). */
export const cacheLength = (
  config: ModelConfig,
  tensor: TensorShare,
  { slots, length }: CacheShape,
): number => slots * length * config.layers * widthOf(config, tensor);

/**
 * What earlier positions of texts leave for later ones: turned keys, and values, of every layer, in the device's dtype whatever the products are
 * in (attention is f32). Never more than `slots` · `length` positions; older ones are not pushed out.
 */
export class KeyValueCache {
  readonly slots: number;
  readonly length: number;
  readonly bytes: number;
  readonly #layers: readonly (readonly CachedRows[])[];

  constructor(device: Device, config: ModelConfig, tensor: TensorShare, { slots, length }: CacheShape) {
    const { widths } = headsOfSegment(mixerOf(config), tensor.segments.count);
    const stride = widths.k + widths.v;
    this.slots = slots;
    this.length = length;
    this.#layers = Array.from({ length: config.layers }, () =>
      Array.from({ length: numHeld(tensor.segments) }, () => ({
        data: device.floats(slots * length * stride),
        stride,
        keyWidth: widths.k,
      })),
    );
    this.bytes = cacheLength(config, tensor, { slots, length }) * (device.info.dtype === 'f64' ? 8 : 4);
  }

  rows(layer: number, held: number): CachedRows {
    const rows = this.#layers[layer]?.[held];
    assert(rows !== undefined, 'every segment of a layer has its rows', { layer, held });
    return rows;
  }

  /** All of them. */
  get all(): readonly CachedRows[] {
    return this.#layers.flat();
  }
}

/** A text of a pass that continues it: its rows are one sequence of the microbatch. */
export interface CachedText {
  readonly slot: number;
  /** Of the sequence's first row in the text: all positions before it are kept. */
  readonly position: number;
  /** Rows that are no padding. */
  readonly rows: number;
}

/**
 * What a pass over the next rows of texts needs beside the rows: where the earlier ones are. Sequence i of the microbatch is of `texts[i]`;
 * sequences behind them are padding.
 *
 * A stack that reads a memory, too, needs the same of its cross attention: keys and values of the source, made once for each slot.
 */
export interface CachedPass {
  readonly cache: KeyValueCache;
  readonly texts: readonly CachedText[];
  /** One past the last position that each row sees: its own; 0 for padding, [T]. */
  readonly endSeen_T: Ints;
}
