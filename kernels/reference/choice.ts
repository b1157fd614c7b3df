/** Expert choice with sorted lists of BigInt keys: slow and plain. */
import {
  CHOICE_QUANTUM_LOG2,
  MOST_GROUP_SEQUENCES,
  NO_CANDIDATE,
  TAKES_NONE,
  type ChoiceAboveCall,
  type ChoiceCandidatesCall,
  type ChoiceParts,
  type ChoiceTakeCall,
  type ChoiceThresholdsCall,
  type OnHost,
} from '@troupe/kernel-set';
import { KernelRangeError } from '../errors.ts';
import type { ArgumentCheck } from './argument-check.ts';
import { roundHalfEven } from './exact-sum.ts';
import type { Kernel } from './kernel.ts';

type Parts = OnHost<ChoiceParts>;

function checkParts(call: Parts, check: ArgumentCheck): void {
  const { tokens, experts, seqLen, partSequences, groupSequences, firstSequence } = call;
  check.sizes({ tokens, firstSequence });
  for (const [name, value] of Object.entries({ experts, seqLen, partSequences, groupSequences }))
    check.size(name, value, 1);
  if (groupSequences > MOST_GROUP_SEQUENCES)
    check.fail('groupSequences', String(groupSequences), `at most ${MOST_GROUP_SEQUENCES}`);
  check.equal('tokens mod seqLen·partSequences', tokens % (seqLen * partSequences), 0, 'parts are whole');
  check.equal('groupSequences mod partSequences', groupSequences % partSequences, 0, 'parts fill a group');
  check.equal('firstSequence mod partSequences', firstSequence % partSequences, 0, 'a part is in one group');
  check.floats('probs_TE', call.probs_TE, tokens * experts);
  if (call.valid_T !== undefined) check.bytes('valid_T', call.valid_T, tokens);
}

const word = new DataView(new ArrayBuffer(4));

/** Bits of the f32 of a probability; 0 for what is not above 0. */
function probabilityBits(probability: number): number {
  if (!(probability > 0)) return 0;
  word.setFloat32(0, probability);
  return word.getUint32(0);
}

/** CHOICE-1: of token t, which is valid, and an expert. */
function keyOf(call: Parts, t: number, expert: number): bigint {
  const sequence = (call.firstSequence + Math.floor(t / call.seqLen)) % call.groupSequences;
  const bits = BigInt(probabilityBits(call.probs_TE[t * call.experts + expert]!));
  return (bits << 32n) + BigInt(2 ** 32 - 1 - sequence);
}

const isValid = (valid_T: Uint8Array | undefined, t: number): boolean =>
  valid_T === undefined || valid_T[t] !== 0;

/** Groups of the call's parts: [part, position] in order, and their tokens in order of sequences. */
function* groupsOf(call: Parts): Generator<{ readonly at: number; readonly tokens: readonly number[] }> {
  const { tokens, seqLen, partSequences } = call;
  for (let first = 0, at = 0; first < tokens; first += seqLen * partSequences)
    for (let position = 0; position < seqLen; position++, at++)
      yield {
        at,
        tokens: Array.from({ length: partSequences }, (_, s) => first + s * seqLen + position),
      };
}

const falling = (a: bigint, b: bigint): number => (a < b ? 1 : a > b ? -1 : 0);

export const choiceCandidates: Kernel<ChoiceCandidatesCall> = {
  check(call, check) {
    checkParts(call, check);
    check.size('take', call.take, 1);
    const positions = call.tokens / call.partSequences;
    check.int64s('keys', call.keys, positions * call.experts * call.take);
    check.ints('numValid', call.numValid, positions);
  },
  run(call) {
    const { experts, take, keys, numValid } = call;
    for (const { at, tokens } of groupsOf(call)) {
      const valid = tokens.filter((t) => isValid(call.valid_T, t));
      numValid[at] = valid.length;
      for (let expert = 0; expert < experts; expert++) {
        const own = valid.map((t) => keyOf(call, t, expert)).sort(falling);
        for (let i = 0; i < take; i++) keys[(at * experts + expert) * take + i] = own[i] ?? NO_CANDIDATE;
      }
    }
  },
};

export const choiceThresholds: Kernel<ChoiceThresholdsCall> = {
  check(call, check) {
    const { positions, experts, take, groupSequences, chosen } = call;
    check.sizes({ positions });
    for (const [name, value] of Object.entries({ experts, take, groupSequences, chosen }))
      check.size(name, value, 1);
    if (groupSequences > MOST_GROUP_SEQUENCES)
      check.fail('groupSequences', String(groupSequences), `at most ${MOST_GROUP_SEQUENCES}`);
    if (chosen > groupSequences)
      check.fail('chosen', String(chosen), `at most groupSequences, ${groupSequences}`);
    if (!Array.isArray(call.sources) || call.sources.length === 0)
      check.fail('sources', Array.isArray(call.sources) ? 'empty' : typeof call.sources, 'at least one');
    call.sources.forEach(({ keys, numValid }, i) => {
      check.int64s(`sources[${i}].keys`, keys, positions * experts * take);
      check.ints(`sources[${i}].numValid`, numValid, positions);
    });
    check.int64s('thresholds', call.thresholds, positions * experts);
    if (call.probSums_E !== undefined) check.int64s('probSums_E', call.probSums_E, experts);
    if (call.numGroups !== undefined) check.int64s('numGroups', call.numGroups, 1);
  },
  run(call) {
    const { positions, experts, take, sources, thresholds, probSums_E, numGroups } = call;
    for (let at = 0; at < positions; at++) {
      const taken = takenOf(call, at);
      if (taken > 0 && numGroups !== undefined) numGroups[0]! += 1n;
      for (let expert = 0; expert < experts; expert++) {
        const group = at * experts + expert;
        if (taken === 0) {
          thresholds[group] = TAKES_NONE;
          continue;
        }
        const own = sources
          .flatMap(({ keys }) => Array.from(keys.subarray(group * take, (group + 1) * take)))
          .sort(falling);
        const threshold = own[taken - 1] ?? NO_CANDIDATE;
        if (threshold < 0n) {
          throw new KernelRangeError(
            `choice.thresholds: position ${at} has fewer candidates of expert ${expert} than the ${taken} that it takes`,
          );
        }
        thresholds[group] = threshold;
        if (probSums_E !== undefined) probSums_E[expert]! += quantaOf(threshold);
      }
    }
  },
};

/** k_q of the position of a list. */
function takenOf(call: OnHost<ChoiceThresholdsCall>, at: number): number {
  const { sources, groupSequences, chosen } = call;
  let valid = 0;
  for (const { numValid } of sources) {
    const count = numValid[at]!;
    valid += count;
    if (count < 0 || valid > groupSequences) {
      throw new KernelRangeError(
        `choice.thresholds: position ${at} has ${count < 0 ? count : valid} valid tokens, expected 0 to ${groupSequences}`,
      );
    }
  }
  return Math.floor((2 * valid * chosen + groupSequences) / (2 * groupSequences));
}

/** The probability in a key, in multiples of 2^CHOICE_QUANTUM_LOG2. */
function quantaOf(key: bigint): bigint {
  word.setUint32(0, Number(key >> 32n));
  return BigInt(roundHalfEven(Math.min(word.getFloat32(0), 1) * 2 ** -CHOICE_QUANTUM_LOG2));
}

export const choiceTake: Kernel<ChoiceTakeCall> = {
  check(call, check) {
    checkParts(call, check);
    check.int64s('thresholds', call.thresholds, (call.tokens / call.partSequences) * call.experts);
    check.ints('choices_TE', call.choices_TE, call.tokens * call.experts);
  },
  run(call) {
    const { experts, thresholds, choices_TE } = call;
    for (const { at, tokens } of groupsOf(call))
      for (const t of tokens)
        for (let expert = 0; expert < experts; expert++) {
          const taken =
            isValid(call.valid_T, t) && keyOf(call, t, expert) >= thresholds[at * experts + expert]!;
          choices_TE[t * experts + expert] = taken ? expert : -1;
        }
  },
};

export const choiceAbove: Kernel<ChoiceAboveCall> = {
  check(call, check) {
    const { tokens, experts } = call;
    check.sizes({ tokens });
    check.size('experts', experts, 1);
    check.floats('probs_TE', call.probs_TE, tokens * experts);
    if (call.valid_T !== undefined) check.bytes('valid_T', call.valid_T, tokens);
    check.floats('thresholds_E', call.thresholds_E, experts);
    check.ints('choices_TE', call.choices_TE, tokens * experts);
  },
  run({ tokens, experts, probs_TE, valid_T, thresholds_E, choices_TE }) {
    for (let t = 0; t < tokens; t++)
      for (let e = 0; e < experts; e++)
        choices_TE[t * experts + e] =
          isValid(valid_T, t) && probs_TE[t * experts + e]! >= thresholds_E[e]! ? e : -1;
  },
};
