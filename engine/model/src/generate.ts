import { prng, type HostFloats } from '@troupe/core';
import type { Device } from '@troupe/kernel-set';
import { denseBatch, type Batch } from './batch.ts';
import { GenerationError } from './errors.ts';
import type { FlatWeights } from './flat-weights.ts';
import { LocalModel, type LocalModelOptions } from './local-model.ts';
import { expertsChoose, hasThresholds, moeLayers, type ModelConfig } from '@troupe/spec';
import { checkSampling, sampleToken, type SamplingOptions } from './sampling.ts';

export interface GenerateOptions extends SamplingOptions {
  /** New tokens at most. */
  readonly maxTokens: number;
  /** No stop token is drawn before so many new tokens; default 0. */
  readonly minTokens?: number;
  readonly seed: number;
  /** Token ids that end the text; the one drawn is not yielded. */
  readonly stop?: readonly number[];
}

/** Of products, and of rows between gates and experts; default f32. */
export type GeneratorFormats = Pick<LocalModelOptions, 'precision' | 'rowFormat' | 'tensor'>;

/** Windows are at least so long: shorter ones would not be faster, only more kinds of buffers. */
const SMALLEST_WINDOW = 16;

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

function checkPrompt(prompt: readonly number[], vocab: number): void {
  if (prompt.length === 0) {
    throw new GenerationError(
      'the prompt has no tokens; give at least one, for example the start of a document',
    );
  }
  const foreign = prompt.find((id) => !Number.isInteger(id) || id < 0 || id >= vocab);
  if (foreign !== undefined) {
    throw new GenerationError(`token ${foreign} is outside the vocabulary of ${vocab}`, {
      id: foreign,
      vocab,
    });
  }
}

/** What continues a text. */
export interface TextModel {
  readonly vocab: number;
  /** Logits of the token behind a context, [V]. */
  readonly nextLogits: (context: readonly number[]) => Promise<HostFloats>;
}

/**
 * Draws tokens of a text one by one, whatever computes the logits. Draw i is keyed by (seed, `sample`, position).
 *
 * @throws {GenerationError} as {@link Generator.generate}
 */
export async function* continueText(
  prompt: readonly number[],
  options: GenerateOptions,
  { vocab, nextLogits }: TextModel,
): AsyncGenerator<number, void, void> {
  const sampling = checkSampling(options);
  checkPrompt(prompt, vocab);
  const { maxTokens, minTokens = 0, seed, stop = [] } = options;
  const context = [...prompt];
  for (let made = 0; made < maxTokens; made++) {
    const logits_V = (await nextLogits(context)).slice();
    if (!logits_V.every(Number.isFinite))
      throw new GenerationError(
        `the logits of token ${made + 1} are not finite (overflow): the model has diverged; try an older checkpoint`,
      );
    if (made < minTokens) for (const id of stop) logits_V[id] = Number.NEGATIVE_INFINITY;
    const id = sampleToken(logits_V, sampling, prng({ seed, purpose: 'sample', position: context.length }));
    if (stop.includes(id)) return;
    context.push(id);
    yield id;
  }
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
    return continueText(prompt, options, {
      vocab: this.#config.vocab,
      nextLogits: (context) => this.#nextLogits(context),
    });
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
