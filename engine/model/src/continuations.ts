import { prng, type HostFloats } from '@troupe/core';
import { checkBeams, firstBeams, nextBeams, type BeamOptions } from './beam.ts';
import { checkSampling, sampleToken, type SamplingOptions } from './sampling.ts';
import { checkLogits, checkPrompt, type Continuation } from './written-text.ts';

export interface GenerateOptions extends SamplingOptions {
  /** New tokens at most. */
  readonly maxTokens: number;
  /** No stop token is drawn before so many new tokens; default 0. */
  readonly minTokens?: number;
  readonly seed: number;
  /** Token ids that end the text; the one drawn is not yielded. */
  readonly stop?: readonly number[];
}

/** The next token, drawn by (seed, `sample`, position); null: a stop token. */
function drawToken(
  found: HostFloats,
  { made, position }: { readonly made: number; readonly position: number },
  { minTokens = 0, stop = [], seed, ...options }: GenerateOptions,
): number | null {
  checkLogits(found, made + 1);
  const logits_V = found.slice();
  if (made < minTokens) for (const id of stop) logits_V[id] = Number.NEGATIVE_INFINITY;
  const draws = prng({ seed, purpose: 'sample', position });
  const id = sampleToken(logits_V, checkSampling(options), draws);
  return stop.includes(id) ? null : id;
}

/**
 * One text, token by token. Draw i is keyed by (seed, `sample`, position), so the text does not depend on anything else.
 *
 * @throws {GenerationError} TROUPE_MODEL_GENERATION for a prompt that cannot be continued, or settings out of range
 */
export function sampledText(
  prompt: readonly number[],
  options: GenerateOptions,
  vocab: number,
): Continuation {
  checkSampling(options);
  checkPrompt(prompt, vocab);
  const text = [...prompt];
  let isFinished = options.maxTokens === 0;
  let ended = false;
  return {
    width: 1,
    get texts() {
      return isFinished ? [] : [text];
    },
    take([logits_V = new Float64Array()]) {
      const made = text.length - prompt.length;
      const id = drawToken(logits_V, { made, position: text.length }, options);
      ended = id === null;
      if (id !== null) text.push(id);
      isFinished = ended || made + 1 === options.maxTokens;
      return isFinished ? [] : [0];
    },
    get written() {
      return [{ ids: text.slice(prompt.length), ended }];
    },
  };
}

/**
 * The most probable texts that beam search finds; nothing is drawn.
 *
 * @throws {GenerationError} TROUPE_MODEL_GENERATION for a prompt that cannot be continued, or settings out of range
 */
export function beamTexts(
  prompt: readonly number[],
  options: Pick<GenerateOptions, 'maxTokens' | 'minTokens' | 'stop'> & BeamOptions,
  vocab: number,
): Continuation {
  const { maxTokens, minTokens = 0, stop = [] } = options;
  const rules = { ...checkBeams(options), maxTokens, minTokens, stop };
  checkPrompt(prompt, vocab);
  let state = maxTokens === 0 ? { ...firstBeams, live: [] } : firstBeams;
  return {
    width: rules.beams,
    get texts() {
      return state.live.map(({ ids }) => [...prompt, ...ids]);
    },
    take(logits) {
      const made = state.live[0]?.ids.length ?? 0;
      for (const logits_V of logits) checkLogits(logits_V, made + 1);
      state = nextBeams(state, logits, rules);
      return state.live.map(({ parent }) => parent);
    },
    get written() {
      return state.written;
    },
  };
}
