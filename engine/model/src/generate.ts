import type { HostFloats } from '@troupe/core';
import type { Device } from '@troupe/kernel-set';
import { denseBatch, type Batch } from './batch.ts';
import type { BeamOptions } from './beam.ts';
import { continueTexts } from './continue-texts.ts';
import { beamTexts, sampledText, type GenerateOptions } from './continuations.ts';
import { GenerationError } from './errors.ts';
import type { FlatWeights } from './flat-weights.ts';
import { LocalModel, type LocalModelOptions } from './local-model.ts';
import { expertsChoose, hasThresholds, moeLayers, type ModelConfig } from '@troupe/spec';
import type { TextModel } from './text-model.ts';
import type { WrittenText } from './written-text.ts';

/** A prompt to continue. */
export interface TextRequest {
  readonly prompt: readonly number[];
  /** Default: that of the options. */
  readonly seed?: number;
}

/** How texts are continued: by draws, or with `beams` by beam search, which draws nothing. */
export type WriteOptions = GenerateOptions & Partial<BeamOptions>;

/** Of products, and of rows between gates and experts; default f32. */
export type GeneratorFormats = Pick<LocalModelOptions, 'precision' | 'rowFormat' | 'tensor'>;

/** Windows are at least so long: shorter ones would not be faster, only more kinds of buffers. */
const SMALLEST_WINDOW = 16;

/** Texts that are written together by default. */
const TEXTS_AT_ONCE = 8;

/** The context in the first of `tokens` / `seqLen` sequences, padded behind: nothing looks to the right, and padding is never routed. */
export function windowBatch(context: ArrayLike<number>, tokens: number, seqLen: number): Batch {
  const ids_T = new Int32Array(tokens);
  ids_T.set(context);
  const valid_T = new Uint8Array(tokens).fill(1, 0, context.length);
  return { ...denseBatch(ids_T, seqLen), targets_T: new Int32Array(tokens).fill(-1), valid_T };
}

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
  );
}

/**
 * Continues prompts with the weights of a model.
 *
 * Each token recomputes the last `seqLen` tokens (the kernel set has no attention over a cache yet), in a window of the
 * next power of two, so short texts cost little. Draw i is keyed by (seed, `sample`, position), so the text does not depend
 * on anything else.
 */
export class Generator {
  readonly #device: Device;
  readonly #config: ModelConfig;
  readonly #weights: FlatWeights;
  readonly #formats: GeneratorFormats;
  readonly #windows = new Map<number, LocalModel>();
  #chosen = 0;
  #tokens = 0;

  /** @param weights - in `modelLayout(config)`, as {@link LocalModel.weights} */
  constructor(device: Device, config: ModelConfig, weights: FlatWeights, formats: GeneratorFormats = {}) {
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
    return continueText(prompt, options, this.#textModel(1));
  }

  /**
   * Continues prompts together, {@link TEXTS_AT_ONCE} at a time; each gets what it would get alone.
   *
   * @throws {GenerationError} TROUPE_MODEL_GENERATION as {@link generate}, or beams < 1, or a negative length penalty
   */
  write(
    requests: readonly TextRequest[],
    options: WriteOptions,
  ): AsyncGenerator<readonly WrittenText[], void, void> {
    checkGenerates(this.#config);
    return writeTexts(requests, options, this.#textModel(Math.max(TEXTS_AT_ONCE, options.beams ?? 0)));
  }

  #textModel(slots: number): TextModel {
    return {
      vocab: this.#config.vocab,
      slots,
      nextLogits: async (texts) => {
        const logits: HostFloats[] = [];
        for (const { ids } of texts) logits.push(await this.#nextLogits(ids));
        return logits;
      },
    };
  }

  /** Experts of a token and layer on average, in what was computed so far; null before, and in a model without experts. */
  get meanExperts(): number | null {
    return this.#tokens === 0 ? null : this.#chosen / this.#tokens;
  }

  async #nextLogits(context: readonly number[]) {
    const seen = context.slice(-this.#config.seqLen);
    let seqLen = SMALLEST_WINDOW;
    while (seqLen < seen.length) seqLen *= 2;
    const window = this.#window(Math.min(seqLen, this.#config.seqLen));
    const logits = await window.logits(windowBatch(seen, window.config.seqLen, window.config.seqLen), {
      firstRow: seen.length - 1,
      rows: 1,
    });
    if (this.#config.moe !== null) {
      for (const { counts_E } of window.statistics.byLayer())
        for (const count of counts_E) this.#chosen += count;
      this.#tokens += seen.length * moeLayers(this.#config).length;
    }
    return logits;
  }

  #window(seqLen: number): LocalModel {
    let window = this.#windows.get(seqLen);
    if (window === undefined) {
      const config = { ...this.#config, seqLen };
      window = new LocalModel(this.#device, { config, sequences: 1, ...this.#formats }, this.#weights);
      this.#windows.set(seqLen, window);
    }
    return window;
  }
}
