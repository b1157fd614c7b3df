import type { HostFloats } from '@troupe/core';
import { GenerationError } from './errors.ts';

/** What was written behind a prompt. */
export interface WrittenText {
  /** New tokens; a stop token is not among them. */
  readonly ids: readonly number[];
  /** Whether a stop token ended it; else it has as many tokens as it may. */
  readonly ended: boolean;
  /** Natural logarithm of the probability of the new tokens and the stop token; of beam search alone. */
  readonly logProb?: number;
  /** `logProb` divided by (number of those tokens)^lengthPenalty: what beam search compares. */
  readonly score?: number;
}

/** A prompt while it is continued, by whatever computes logits: a pure state that texts go out of and logits come into. */
export interface Continuation {
  /** Texts that it writes at once, at most. */
  readonly width: number;
  /** Prompt and new tokens of the texts whose next logits are wanted; none: it is finished. */
  readonly texts: readonly (readonly number[])[];
  /** Takes the logits behind each of `texts`; says of each of the new `texts` which of the old ones it continues. */
  take(logits: readonly HostFloats[]): readonly number[];
  /** Once it is finished, the best first. */
  readonly written: readonly WrittenText[];
}

/** @throws {GenerationError} TROUPE_MODEL_GENERATION for an empty prompt or an id outside the vocabulary */
export function checkPrompt(prompt: readonly number[], vocab: number): void {
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

/** @throws {GenerationError} TROUPE_MODEL_GENERATION when a model has diverged */
export function checkLogits(logits_V: HostFloats, token: number): void {
  for (const logit of logits_V)
    if (!Number.isFinite(logit))
      throw new GenerationError(
        `the logits of token ${token} are not finite (overflow): the model has diverged; try an older checkpoint`,
      );
}
