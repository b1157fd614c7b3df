import type { HostFloats } from '@troupe/core';

/** A text whose next token is wanted. */
export interface TextSoFar {
  /** Which of the texts that are written together, 0 ≤ slot < {@link TextModel.slots}: a model may keep what it computed of the text there. */
  readonly slot: number;
  /** The prompt and what was written behind it. */
  readonly ids: readonly number[];
  /** What an encoder reads; of a model that has one. */
  readonly source?: readonly number[];
}

/**
 * What continues texts. What a text gets depends on its ids alone: neither on its slot nor on the other texts.
 *
 * A model that keeps keys and values finds in `ids` what of it still holds, so nobody has to tell it that a slot has another text now.
 */
export interface TextModel {
  readonly vocab: number;
  /** Texts that can be written together, at least 1. */
  readonly slots: number;
  /** Logits of the token behind each text, [V] each; good until the next call. One call at a time. */
  readonly nextLogits: (texts: readonly TextSoFar[]) => Promise<readonly HostFloats[]>;
  /** What was computed of one slot's text is kept in another slot, too. It saves work and changes no number; absent: nothing is kept. */
  readonly fork?: (from: number, to: number) => Promise<void>;
}
