import { assert } from '@troupe/core';
import type { Device, Floats, Ints } from '@troupe/kernel-set';
import { crossMixerOf, encoderLayers, mixerOf, type ModelConfig } from '@troupe/spec';
import { headsOfSegment, numHeld, type TensorShare } from './tensor-share.ts';

/** Keys and values of one segment of a layer, a row a position, [slots · positions, stride]: keys in front, values behind them. */
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
  /** Positions of the memory of each; default 0: there is no encoder. */
  readonly sourceLength?: number;
}

interface Widths {
  readonly k: number;
  readonly v: number;
}

/** Keys and values of one segment: those of the text, and those of its memory. */
function widthsOf(config: ModelConfig, { segments }: TensorShare): { own: Widths; memory: Widths } {
  const { count } = segments;
  return {
    own: headsOfSegment(mixerOf(config), count).widths,
    memory: headsOfSegment(crossMixerOf(config), count).widths,
  };
}

/** Blocks that write text. */
const writing = (config: ModelConfig): number => config.layers - encoderLayers(config);

/** Numbers that a cache holds: slots · layers · (positions · keys and values of one + the same of the memory). */
export function cacheLength(config: ModelConfig, tensor: TensorShare, shape: CacheShape): number {
  const { slots, length, sourceLength = 0 } = shape;
  const { own, memory } = widthsOf(config, tensor);
  const each = length * (own.k + own.v) + sourceLength * (memory.k + memory.v);
  return slots * writing(config) * numHeld(tensor.segments) * each;
}

/**
 * What earlier positions of texts leave for later ones: turned keys, and values, of every layer, in the device's dtype whatever the products are
 * in (attention is f32); and behind an encoder those that layers read of the memory. Never more than `slots` · `length` positions; older ones are
 * not pushed out.
 */
export class KeyValueCache {
  readonly slots: number;
  readonly length: number;
  readonly sourceLength: number;
  readonly bytes: number;
  readonly #first: number;
  readonly #own: readonly (readonly CachedRows[])[];
  readonly #memory: readonly (readonly CachedRows[])[];

  constructor(device: Device, config: ModelConfig, tensor: TensorShare, shape: CacheShape) {
    const { slots, length, sourceLength = 0 } = shape;
    const { own, memory } = widthsOf(config, tensor);
    const rows = (positions: number, { k, v }: Widths): readonly (readonly CachedRows[])[] =>
      Array.from({ length: writing(config) }, () =>
        Array.from({ length: numHeld(tensor.segments) }, () => ({
          data: device.floats(slots * positions * (k + v)),
          stride: k + v,
          keyWidth: k,
        })),
      );
    this.slots = slots;
    this.length = length;
    this.sourceLength = sourceLength;
    this.#first = encoderLayers(config);
    this.#own = rows(length, own);
    this.#memory = rows(sourceLength, memory);
    this.bytes = cacheLength(config, tensor, shape) * (device.info.dtype === 'f64' ? 8 : 4);
  }

  rows(layer: number, held: number): CachedRows {
    return this.#at(this.#own, layer, held);
  }

  /** What a layer reads of the memory, [slots · sourceLength, stride]. */
  memory(layer: number, held: number): CachedRows {
    return this.#at(this.#memory, layer, held);
  }

  /** Everything of the first `rows` positions of a slot, and of its memory. */
  slot(slot: number, rows: number, sourceRows: number): readonly Floats[] {
    const of = (all: readonly (readonly CachedRows[])[], length: number, count: number): readonly Floats[] =>
      all.flat().map(({ data, stride }) => {
        const first = slot * length * stride;
        return data.subarray(first, first + count * stride);
      });
    return [...of(this.#own, this.length, rows), ...of(this.#memory, this.sourceLength, sourceRows)];
  }

  #at(all: readonly (readonly CachedRows[])[], layer: number, held: number): CachedRows {
    const rows = all[layer - this.#first]?.[held];
    assert(rows !== undefined, 'every segment of a layer has its rows', { layer, held });
    return rows;
  }
}

/** A text of a pass that continues it: its rows are one sequence of the microbatch. */
export interface CachedText {
  readonly slot: number;
  /** Of the sequence's first row in the text: all positions before it are kept. */
  readonly position: number;
  /** Rows that are no padding. */
  readonly rows: number;
  /** Rows of its memory; 0: there is no encoder. */
  readonly sourceRows: number;
}

/**
 * What a pass over the next rows of texts needs beside the rows: where the earlier ones are. Sequence i of the microbatch is of `texts[i]`;
 * sequences behind them are padding.
 */
export interface CachedPass {
  readonly cache: KeyValueCache;
  readonly texts: readonly CachedText[];
  /** One past the last position that each row sees: its own; 0 for padding, [T]. */
  readonly endSeen_T: Ints;
  /** The same in the memory of its text: all of it. */
  readonly sourceEnd_T: Ints;
}
