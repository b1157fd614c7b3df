import { assert, type HostFloats } from '@troupe/core';
import type { Device } from '@troupe/kernel-set';
import type { BeamOptions } from './beam.ts';
import { CachedTexts, type TextFormats } from './cached-texts.ts';
import { continueTexts } from './continue-texts.ts';
import { beamTexts, sampledText, type GenerateOptions } from './continuations.ts';
import { GenerationError } from './errors.ts';
import type { FlatWeights } from './flat-weights.ts';
import { cacheLength, type CacheShape } from './key-value-cache.ts';
import { LocalModel } from './local-model.ts';
import { expertsChoose, hasThresholds, moeLayers, type ModelConfig } from '@troupe/spec';
import { wholeShare } from './tensor-share.ts';
import type { TextModel, TextSoFar } from './text-model.ts';
import { windowBatch } from './window-batch.ts';
import { checkPrompt, type WrittenText } from './written-text.ts';

/** A prompt to continue. */
export interface TextRequest {
  readonly prompt: readonly number[];
  /** Default: that of the options. */
  readonly seed?: number;
  /** Tokens that the encoder reads, of a model that has one; `prompt` is then what the decoder begins with. */
  readonly source?: readonly number[];
}

/** How texts are continued: by draws, or with `beams` by beam search, which draws nothing. */
export type WriteOptions = GenerateOptions & Partial<BeamOptions>;

/** Texts that are written together at most, where beams do not need more. */
const TEXTS_AT_ONCE = 32;
/** Keys and values of texts that are written together take at most so many numbers (1 GiB in f32), unless one prompt alone needs more. */
const MOST_CACHED = 2 ** 28;

/**
 * Experts that choose do so among the sequences of a batch, and a text is one sequence: they need thresholds that training learned.
 *
 * @throws {GenerationError} TROUPE_MODEL_GENERATION
 */
export function checkGenerates({ moe }: ModelConfig): void {
  if (moe === null || !expertsChoose(moe) || hasThresholds(moe)) return;
  throw new GenerationError(
    'experts of this model choose tokens among the sequences of a batch (model.moe.router.kind), and a text is one sequence, so none is generated; evaluate it, or train one with model.moe.router.generate=thresholds, or one whose tokens choose',
    { kind: moe.router.kind },
  );
}

function checkSource({ encoder, vocab }: ModelConfig, source: readonly number[] | undefined): void {
  if (encoder === null) {
    if (source === undefined) return;
    throw new GenerationError(
      'this model has no encoder (model.encoder), so it reads no source; leave it out',
    );
  }
  if (source === undefined)
    throw new GenerationError(
      'this model has an encoder (model.encoder), so it writes of a source that the encoder reads: use `troupe translate`, or in a program give write() a source',
    );
  if (source.length === 0 || source.length > encoder.seqLen)
    throw new GenerationError(
      `the source has ${source.length} tokens, expected 1 to ${encoder.seqLen} (model.encoder.seqLen); cut it into sentences`,
      { found: source.length, expected: encoder.seqLen },
    );
  checkPrompt(source, vocab);
}

/**
 * Looks at the sources of requests. A decoder behind an encoder has no window that could move on: its texts end with its last position.
 *
 * @throws {GenerationError} TROUPE_MODEL_GENERATION for a source without an encoder, none with one, or one that it cannot read
 */
export function limitedBySources(
  config: ModelConfig,
  requests: readonly TextRequest[],
  options: WriteOptions,
): WriteOptions {
  for (const { source } of requests) checkSource(config, source);
  if (config.encoder === null) return options;
  const longest = requests.reduce((most, { prompt }) => Math.max(most, prompt.length), 1);
  return { ...options, maxTokens: Math.max(0, Math.min(options.maxTokens, config.seqLen + 1 - longest)) };
}

/**
 * Draws tokens of a text one by one, whatever computes the logits.
 *
 * @throws {GenerationError} as {@link Generator.generate}
 */
export async function* continueText(
  prompt: readonly number[],
  options: GenerateOptions,
  model: TextModel,
): AsyncGenerator<number, void, void> {
  const text = sampledText(prompt, options, model.vocab);
  for (let [ids] = text.texts, made = 0; ids !== undefined; [ids] = text.texts) {
    text.take(await model.nextLogits([{ slot: 0, ids }]));
    const id = text.written[0]?.ids[made++];
    if (id !== undefined) yield id;
  }
}

/**
 * Continues several prompts together; each gets what it would get alone.
 *
 * @returns the texts of each prompt, in their order: one, or with `beams` the best so many, the best first
 * @throws {GenerationError} as {@link Generator.write}
 */
export function writeTexts(
  requests: readonly TextRequest[],
  { beams, lengthPenalty = 1, ...options }: WriteOptions,
  model: TextModel,
): AsyncGenerator<readonly WrittenText[], void, void> {
  return continueTexts(
    model,
    requests.map(({ prompt, seed = options.seed }) =>
      beams === undefined
        ? sampledText(prompt, { ...options, seed }, model.vocab)
        : beamTexts(prompt, { ...options, beams, lengthPenalty }, model.vocab),
    ),
    requests.map(({ source }) => source),
  );
}

/**
 * Continues prompts with the weights of a model.
 *
 * Keys and values of a text are kept up to `seqLen` tokens ({@link CachedTexts}). From then on a token sees the last `seqLen` ones, each at
 * another position than before, so all of them are computed again for each token: slower, and the same text as without a cache.
 */
export class Generator {
  readonly #device: Device;
  readonly #config: ModelConfig;
  readonly #weights: FlatWeights;
  readonly #formats: TextFormats;
  #cached: CachedTexts | null = null;
  #window: LocalModel | null = null;
  #chosen = 0;
  #tokens = 0;

  /** @param weights - in `modelLayout(config)`, as {@link LocalModel.weights} */
  constructor(device: Device, config: ModelConfig, weights: FlatWeights, formats: TextFormats = {}) {
    this.#device = device;
    this.#config = config;
    this.#weights = weights;
    this.#formats = formats;
  }

  /**
   * Yields new token ids one by one.
   *
   * @throws {GenerationError} TROUPE_MODEL_GENERATION for an empty prompt, an id outside the vocabulary, settings out of range, or a model whose
   * logits are not finite
   */
  generate(prompt: readonly number[], options: GenerateOptions): AsyncGenerator<number, void, void> {
    checkGenerates(this.#config);
    checkSource(this.#config, undefined);
    return continueText(prompt, options, this.#textModel([{ prompt }], { ...options, beams: 1 }));
  }

  /**
   * Continues prompts together; each gets what it would get alone.
   *
   * @throws {GenerationError} TROUPE_MODEL_GENERATION as {@link generate}, or beams < 1, or a negative length penalty
   */
  write(
    requests: readonly TextRequest[],
    options: WriteOptions,
  ): AsyncGenerator<readonly WrittenText[], void, void> {
    checkGenerates(this.#config);
    const limited = limitedBySources(this.#config, requests, options);
    return writeTexts(requests, limited, this.#textModel(requests, limited));
  }

  /** Experts of a token and layer on average, in what was computed so far; null before, and in a model without experts. */
  get meanExperts(): number | null {
    return this.#tokens === 0 ? null : this.#chosen / this.#tokens;
  }

  /** Bytes of keys and values that are kept. */
  get cacheBytes(): number {
    return this.#cached?.bytes ?? 0;
  }

  /** As many texts at once as memory and the number of prompts allow, of as many tokens as the longest gets. */
  #textModel(requests: readonly TextRequest[], { beams = 1, maxTokens }: WriteOptions): TextModel {
    const { vocab, seqLen } = this.#config;
    const longest = requests.reduce((most, { prompt }) => Math.max(most, prompt.length), 1);
    const length = Math.max(1, Math.min(seqLen, longest + maxTokens));
    const sourceLength = requests.reduce((most, { source = [] }) => Math.max(most, source.length), 0);
    const { tensor = wholeShare } = this.#formats;
    const each = cacheLength(this.#config, tensor, { slots: beams, length, sourceLength });
    const prompts = Math.min(
      requests.length,
      Math.floor(TEXTS_AT_ONCE / beams),
      Math.floor(MOST_CACHED / each),
    );
    const slots = Math.max(1, prompts) * beams;
    return {
      vocab,
      slots,
      nextLogits: (texts) => this.#nextLogits(this.#cache({ slots, length, sourceLength }), texts),
      fork: (from, to) => this.#cache({ slots, length, sourceLength }).fork(from, to),
    };
  }

  async #nextLogits(cached: CachedTexts, texts: readonly TextSoFar[]): Promise<readonly HostFloats[]> {
    const logits: HostFloats[] = [];
    for (const { ids } of texts)
      if (ids.length > this.#config.seqLen) logits.push((await this.#recomputed(ids)).slice());
    const short = await cached.nextLogits(texts.filter(({ ids }) => ids.length <= this.#config.seqLen));
    const [long, kept] = [logits.values(), short.values()];
    return texts.map(({ ids }) => {
      const { value } = (ids.length > this.#config.seqLen ? long : kept).next();
      assert(value !== undefined, 'every text has logits');
      return value;
    });
  }

  /** The last that was made, if it has room. */
  #cache(shape: Required<CacheShape>): CachedTexts {
    const { slots = 0, length = 0, sourceLength = 0 } = this.#cached ?? {};
    const isLarge = slots >= shape.slots && length >= shape.length && sourceLength >= shape.sourceLength;
    if (this.#cached !== null && isLarge) return this.#cached;
    const options = {
      ...this.#formats,
      slots: Math.max(slots, shape.slots),
      length: Math.max(length, shape.length),
      sourceLength: Math.max(sourceLength, shape.sourceLength),
    };
    this.#cached = new CachedTexts(this.#device, this.#config, this.#weights, options, this.#count);
    return this.#cached;
  }

  async #recomputed(context: readonly number[]): Promise<HostFloats> {
    const config = this.#config;
    this.#window ??= new LocalModel(this.#device, { config, sequences: 1, ...this.#formats }, this.#weights);
    const { seqLen } = config;
    const batch = windowBatch([context.slice(-seqLen)], seqLen, seqLen);
    const logits = await this.#window.logits(batch, { firstRow: seqLen - 1, rows: 1 });
    if (config.moe !== null) {
      const chosen = this.#window.statistics.counts().reduce((sum, count) => sum + count, 0);
      this.#count(chosen, seqLen * moeLayers(config).length);
    }
    return logits;
  }

  readonly #count = (chosen: number, tokens: number): void => {
    this.#chosen += chosen;
    this.#tokens += tokens;
  };
}
