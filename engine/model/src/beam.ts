import type { HostFloats } from '@troupe/core';
import { GenerationError } from './errors.ts';
import { largest } from './largest.ts';
import type { WrittenText } from './written-text.ts';

export interface BeamOptions {
  /** Texts that are kept of each length, the most probable; at least 1. */
  readonly beams: number;
  /** Exponent α ≥ 0 of the length by which the logarithm of a probability is divided; 0: not at all. Default 1: their mean. */
  readonly lengthPenalty?: number;
}

/** What a search goes by. */
export interface BeamRules extends Required<BeamOptions> {
  readonly maxTokens: number;
  readonly minTokens: number;
  readonly stop: readonly number[];
}

/** A text that is not ended. */
export interface Beam {
  /** New tokens. */
  readonly ids: readonly number[];
  readonly logProb: number;
  /** Which of the beams before it continues. */
  readonly parent: number;
}

/** A search after some tokens. */
export interface BeamState {
  /** The most probable first; none: the search is over. */
  readonly live: readonly Beam[];
  /** Ended or of full length, the best score first, at most `beams`. */
  readonly written: readonly Required<WrittenText>[];
}

/** Before the first token. */
export const firstBeams: BeamState = { live: [{ ids: [], logProb: 0, parent: 0 }], written: [] };

/** @throws {GenerationError} TROUPE_MODEL_GENERATION */
export function checkBeams({ beams, lengthPenalty = 1 }: BeamOptions): Required<BeamOptions> {
  if (!Number.isInteger(beams) || beams < 1)
    throw new GenerationError(`beams ${beams} is not an integer ≥ 1`, { beams });
  if (!(lengthPenalty >= 0 && Number.isFinite(lengthPenalty)))
    throw new GenerationError(`lengthPenalty ${lengthPenalty} is not a number ≥ 0`, { lengthPenalty });
  return { beams, lengthPenalty };
}

/** Of `length` tokens, the stop token among them. */
const scoreOf = (logProb: number, length: number, penalty: number): number =>
  logProb / Math.exp(penalty * Math.log(length));

interface Candidate {
  readonly parent: number;
  readonly id: number;
  readonly logProb: number;
}

/** Logarithm of Σ exp(logits). */
function logSumExp(logits_V: HostFloats): number {
  let top = Number.NEGATIVE_INFINITY;
  for (const logit of logits_V) if (logit > top) top = logit;
  let sum = 0;
  for (const logit of logits_V) sum += Math.exp(logit - top);
  return top + Math.log(sum);
}

/** All that can be kept, the most probable first; ties to the lower beam, then to the lower id. */
function candidatesOf(
  live: readonly Beam[],
  logits: readonly HostFloats[],
  { beams, stop }: BeamRules,
): Candidate[] {
  const all = live.flatMap(({ logProb }, parent) => {
    const logits_V = logits[parent] ?? new Float64Array();
    const total = logSumExp(logits_V);
    return largest(logits_V, beams + stop.length).map((id) => ({
      parent,
      id,
      logProb: logProb + ((logits_V[id] ?? 0) - total),
    }));
  });
  return all.sort((a, b) => b.logProb - a.logProb || a.parent - b.parent || a.id - b.id);
}

/** The best by score; of equal ones those that were there first. */
const best = (texts: readonly Required<WrittenText>[], count: number): Required<WrittenText>[] =>
  texts.toSorted((a, b) => b.score - a.score).slice(0, count);

/**
 * One token more. Down the candidates, stop tokens end a text, and others make up to `beams` new beams; what lies behind is dropped.
 *
 * The search is over when no beam can get a better score than the worst of `beams` texts that are written: probabilities only fall, so the best that a
 * beam may reach is its own at full length. So stopping early changes no result.
 *
 * @param logits - behind each of `state.live`
 * @see Graves 2012, arXiv:1211.3711; Wu et al. 2016, arXiv:1609.08144, §7; the penalty is that of fairseq and Hugging Face, length^α
 */
export function nextBeams(state: BeamState, logits: readonly HostFloats[], rules: BeamRules): BeamState {
  const { beams, lengthPenalty, maxTokens, minTokens, stop } = rules;
  const made = state.live[0]?.ids.length ?? 0;
  const length = made + 1;
  const ended = [...state.written];
  const live: Beam[] = [];
  for (const { parent, id, logProb } of candidatesOf(state.live, logits, rules)) {
    if (live.length === beams) break;
    const before = state.live[parent]?.ids ?? [];
    if (!stop.includes(id)) live.push({ ids: [...before, id], logProb, parent });
    else if (made >= minTokens)
      ended.push({ ids: before, ended: true, logProb, score: scoreOf(logProb, length, lengthPenalty) });
  }
  if (length === maxTokens) {
    const full = live.map(({ ids, logProb }) => ({
      ids,
      ended: false,
      logProb,
      score: scoreOf(logProb, length, lengthPenalty),
    }));
    return { live: [], written: best([...ended, ...full], beams) };
  }
  const written = best(ended, beams);
  const worst = written.length === beams ? (written.at(-1)?.score ?? 0) : Number.NEGATIVE_INFINITY;
  const reachable = scoreOf(live[0]?.logProb ?? Number.NEGATIVE_INFINITY, maxTokens, lengthPenalty);
  return { live: reachable <= worst ? [] : live, written };
}
