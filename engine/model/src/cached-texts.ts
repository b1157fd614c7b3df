import { assert, type HostFloats } from '@troupe/core';
import type { Device, Floats, KernelCall } from '@troupe/kernel-set';
import { encoderLayers, expertsChoose, moeLayers, type ModelConfig } from '@troupe/spec';
import { Activations } from './activations.ts';
import { uploadBatch } from './batch.ts';
import { runCalls } from './device-run.ts';
import type { FlatWeights } from './flat-weights.ts';
import { finalNormForward, headLogits } from './head.ts';
import { KeyValueCache, type CacheShape, type CachedText } from './key-value-cache.ts';
import { LocalExperts } from './local-experts.ts';
import { embedForward } from './embedding.ts';
import { forwardLayer } from './local-pass.ts';
import type { LocalModelOptions } from './local-model.ts';
import { positionTables, type PositionTables } from './position-tables.ts';
import { SourceReader } from './source-reader.ts';
import type { StageContext } from './stage-context.ts';
import type { StageShape } from './stage-shape.ts';
import { StageStatistics } from './statistics.ts';
import { callsOf, type Step } from './step.ts';
import { wholeShare } from './tensor-share.ts';
import type { TextModel, TextSoFar } from './text-model.ts';

/** Rows of a text that one pass takes at most: a prompt is read in parts of so many, so buffers do not grow with it. */
const MOST_ROWS = 64;
/** Parts of a prompt are at least so long: shorter ones would only be more kinds of buffers. */
const FEWEST_ROWS = 16;

/** Of products, and of rows between gates and experts; default f32. */
export type TextFormats = Pick<LocalModelOptions, 'precision' | 'rowFormat' | 'tensor'>;

/** A text of a call, and what of it is not kept yet. */
interface Reading {
  /** Of the call. */
  readonly index: number;
  readonly slot: number;
  readonly ids: readonly number[];
  /** Positions that are kept. */
  position: number;
}

const left = ({ ids, position }: Reading): number => ids.length - position;

/** The least power of two ≥ `count`, and ≥ `least`. */
function powerOf2(count: number, least: number): number {
  let found = least;
  while (found < count) found *= 2;
  return found;
}

/** Ids that two texts begin with. */
function commonStart(a: readonly number[], b: readonly number[]): number {
  let count = 0;
  while (count < a.length && count < b.length && a[count] === b[count]) count++;
  return count;
}

/**
 * Texts on one device, of which keys and values are kept: a token more costs one row a layer, whatever is before it.
 *
 * KV-1: rows are computed as in the whole window: each from its own inputs, its keys in the same blocks from position 0. So where a body's
 * rows do not influence each other (native, reference) logits are those of {@link LocalModel.logits} bit for bit.
 * KV-2: what is kept of a slot is what the ids of its text have in common with those that were there: nothing has to be told.
 */
export class CachedTexts implements TextModel {
  readonly vocab: number;
  readonly slots: number;
  /** Bytes of keys and values. */
  readonly bytes: number;
  readonly #device: Device;
  readonly #shape: Omit<StageShape, 'sequences'>;
  readonly #weights: FlatWeights;
  readonly #cache: KeyValueCache;
  readonly #positions: PositionTables;
  readonly #statistics: StageStatistics;
  readonly #experts: LocalExperts;
  readonly #logits: Floats;
  readonly #activations = new Map<string, Activations>();
  /** Ids of what is kept of each slot. */
  readonly #held: (readonly number[])[];
  /** Those of the text that it is written of. */
  readonly #sources: (readonly number[])[];
  readonly #reader: SourceReader;
  readonly #counted: (chosen: number, tokens: number) => void;

  /**
   * @param weights - in `modelLayout(config)`, of whole matrices or all segments of them
   * @param counted - hears after each pass how many experts its tokens chose, over all layers, and how often a token chose
   */
  constructor(
    device: Device,
    config: ModelConfig,
    weights: FlatWeights,
    options: TextFormats & CacheShape,
    counted: (chosen: number, tokens: number) => void = () => {},
  ) {
    const { precision = 'f32', rowFormat = 'f32', tensor = wholeShare, ...cache } = options;
    assert(tensor.peers === 1, 'texts are written on one device', { peers: tensor.peers });
    this.vocab = config.vocab;
    this.slots = cache.slots;
    this.#device = device;
    this.#shape = { config, grains: 1, precision, rowFormat, tensor };
    this.#weights = weights;
    this.#counted = counted;
    this.#cache = new KeyValueCache(device, config, tensor, cache);
    this.bytes = this.#cache.bytes;
    // The last part of a prompt may have padding behind the last position.
    this.#positions = positionTables(device, { ...config, seqLen: cache.length + MOST_ROWS });
    this.#statistics = new StageStatistics(device, config);
    this.#experts = new LocalExperts(device);
    this.#logits = device.floats(cache.slots * config.vocab);
    this.#held = Array.from({ length: cache.slots }, () => []);
    this.#sources = Array.from({ length: cache.slots }, () => []);
    this.#reader = new SourceReader({
      device,
      shape: this.#shape,
      weights,
      cache: this.#cache,
      experts: this.#experts,
      statistics: this.#statistics,
      run: (steps) => this.#run(steps),
    });
  }

  /** Positions that a text may have. */
  get length(): number {
    return this.#cache.length;
  }

  /** Positions that its source may have. */
  get sourceLength(): number {
    return this.#cache.sourceLength;
  }

  readonly nextLogits = async (texts: readonly TextSoFar[]): Promise<readonly HostFloats[]> => {
    await this.#readSources(texts);
    const readings = texts.map(({ slot, ids }, index): Reading => {
      assert(ids.length > 0 && ids.length <= this.#cache.length, 'a text has room in the cache', {
        found: ids.length,
        expected: this.#cache.length,
      });
      const kept = commonStart(this.#held[slot] ?? [], ids);
      // The row of the last token is what logits come from.
      return { index, slot, ids: [...ids], position: Math.min(kept, ids.length - 1) };
    });
    for (let long = longest(readings); long > 1; long = longest(readings)) {
      const rows = Math.min(MOST_ROWS, powerOf2(long, FEWEST_ROWS));
      await this.#read(
        readings.filter((each) => left(each) > 1),
        rows,
      );
    }
    await this.#read(
      readings.filter((each) => left(each) === 1),
      1,
    );
    const logits = this.#device.read(this.#logits.subarray(0, texts.length * this.vocab));
    return texts.map((_, index) => logits.subarray(index * this.vocab, (index + 1) * this.vocab));
  };

  readonly fork = async (from: number, to: number): Promise<void> => {
    const held = this.#held[from] ?? [];
    const source = this.#sources[from] ?? [];
    const of = (slot: number): readonly Floats[] => this.#cache.slot(slot, held.length, source.length);
    const out = of(to);
    const calls = of(from).flatMap((each, index): KernelCall[] => {
      const into = out[index];
      return into === undefined || each.length === 0 ? [] : [{ op: 'copy', from: each, out: into }];
    });
    if (calls.length > 0) await runCalls(this.#device, calls);
    this.#held[to] = held;
    this.#sources[to] = source;
  };

  /** What is kept of a slot is of one source: of another one, all of it is made anew. */
  async #readSources(texts: readonly TextSoFar[]): Promise<void> {
    const changed = texts.flatMap(({ slot, source = [] }) => {
      const before = this.#sources[slot] ?? [];
      const isSame = before.length === source.length && commonStart(before, source) === source.length;
      return isSame ? [] : [{ slot, ids: [...source] }];
    });
    for (const { slot } of changed) [this.#held[slot], this.#sources[slot]] = [[], []];
    const atOnce = this.#atOnce(changed.length);
    for (let first = 0; first < changed.length; first += atOnce) {
      const sources = changed.slice(first, first + atOnce);
      const most = sources.reduce((length, { ids }) => Math.max(length, ids.length), 1);
      assert(most <= this.#cache.sourceLength, 'a source has room in the cache', { found: most });
      await this.#reader.read(sources, powerOf2(sources.length, 1), powerOf2(most, FEWEST_ROWS));
      for (const { slot, ids } of sources) this.#sources[slot] = ids;
    }
  }

  /** Texts of a pass, of `count`. */
  #atOnce(count: number): number {
    const { moe } = this.#shape.config;
    // By thresholds a token may have any number of experts: more than the buffers of several sequences of a group have room for. A forced
    // choice of an encoder is by the place in the microbatch.
    return moe !== null && (expertsChoose(moe) || moe.choice !== 'learned') ? 1 : Math.max(1, count);
  }

  /** At most `rows` more tokens of each text. */
  async #read(readings: readonly Reading[], rows: number): Promise<void> {
    const atOnce = this.#atOnce(readings.length);
    for (let first = 0; first < readings.length; first += atOnce)
      await this.#pass(readings.slice(first, first + atOnce), rows);
  }

  async #pass(readings: readonly Reading[], rows: number): Promise<void> {
    const texts = readings.map((each): CachedText => ({
      slot: each.slot,
      position: each.position,
      rows: Math.min(rows, left(each)),
      sourceRows: this.#sources[each.slot]?.length ?? 0,
    }));
    const sequences = powerOf2(texts.length, 1);
    const ctx = this.#context(texts, sequences, rows);
    const tokens = sequences * rows;
    const ids_T = new Int32Array(tokens);
    const valid_T = new Uint8Array(tokens);
    for (const [sequence, { ids, position }] of readings.entries()) {
      const count = texts[sequence]?.rows ?? 0;
      ids_T.set(ids.slice(position, position + count), sequence * rows);
      valid_T.fill(1, sequence * rows, sequence * rows + count);
    }
    const [targets_T, firstSeen_T] = [new Int32Array(tokens).fill(-1), new Int32Array(tokens)];
    const batch = uploadBatch(this.#device, { ids_T, valid_T, targets_T, firstSeen_T });
    this.#statistics.reset();
    // What was there behind these positions is overwritten from now on.
    for (const { slot, ids, position } of readings) this.#held[slot] = ids.slice(0, position);
    await this.#run(embedForward(ctx, batch));
    const { firstLayer, numLayers } = ctx.act;
    for (let layer = firstLayer; layer < firstLayer + numLayers; layer++)
      await forwardLayer({ context: ctx, batch }, layer, this.#experts, (steps) => this.#run(steps));
    for (const [sequence, each] of readings.entries()) {
      each.position += texts[sequence]?.rows ?? 0;
      this.#held[each.slot] = each.ids.slice(0, each.position);
    }
    await this.#run([{ calls: finalNormForward(ctx) }, ...this.#heads(ctx, readings, texts)]);
    this.#count(texts);
  }

  /** Logits behind the texts that have been read: those of neighbours are one product. */
  #heads(ctx: StageContext, readings: readonly Reading[], texts: readonly CachedText[]): readonly Step[] {
    const { vocab } = this;
    const { seqLen } = ctx.shape.config;
    const slices: { firstRow: number; rows: number; index: number }[] = [];
    for (const [sequence, each] of readings.entries()) {
      if (left(each) > 0) continue;
      const firstRow = sequence * seqLen + (texts[sequence]?.rows ?? 1) - 1;
      const last = slices.at(-1);
      if (
        last !== undefined &&
        last.firstRow + last.rows === firstRow &&
        last.index + last.rows === each.index
      )
        last.rows += 1;
      else slices.push({ firstRow, rows: 1, index: each.index });
    }
    return slices.flatMap(({ firstRow, rows, index }) =>
      headLogits(ctx, { firstRow, rows, out: this.#logits.subarray(index * vocab, (index + rows) * vocab) }),
    );
  }

  #context(texts: readonly CachedText[], sequences: number, rows: number): StageContext {
    const { config, ...rest } = this.#shape;
    // What a memory leaves is in the cache: buffers have no room for one.
    const encoder = config.encoder === null ? null : { ...config.encoder, seqLen: 1 };
    const shape = { ...rest, config: { ...config, encoder, seqLen: rows }, sequences };
    const first = encoderLayers(config);
    const key = `${sequences}/${rows}`;
    let act = this.#activations.get(key);
    if (act === undefined) {
      const layers = { first, count: config.layers - first };
      act = new Activations(this.#device, shape, { training: false, layers });
      this.#activations.set(key, act);
    }
    const endSeen_T = new Int32Array(sequences * rows);
    const sourceEnd_T = new Int32Array(sequences * rows);
    for (const [sequence, text] of texts.entries())
      for (let row = 0; row < text.rows; row++) {
        endSeen_T[sequence * rows + row] = text.position + row + 1;
        sourceEnd_T[sequence * rows + row] = text.sourceRows;
      }
    return {
      shape,
      act,
      weights: this.#weights,
      gradients: null,
      positions: this.#positions,
      statistics: this.#statistics,
      cache: {
        cache: this.#cache,
        texts,
        endSeen_T: this.#device.upload(endSeen_T),
        sourceEnd_T: this.#device.upload(sourceEnd_T),
      },
    };
  }

  #count(texts: readonly CachedText[]): void {
    if (this.#shape.config.moe === null) return;
    const chosen = this.#statistics.counts().reduce((sum, count) => sum + count, 0);
    const tokens = texts.reduce((sum, { rows }) => sum + rows, 0);
    const { config } = this.#shape;
    const layers = moeLayers(config).filter((layer) => layer >= encoderLayers(config));
    this.#counted(chosen, tokens * layers.length);
  }

  #run(steps: readonly Step[]): Promise<unknown> {
    return runCalls(this.#device, callsOf(steps));
  }
}

const longest = (readings: readonly Reading[]): number => Math.max(0, ...readings.map(left));
