/** Random cases of expert choice: ties, padding and numbers that are no probability are frequent. */
import { type ChoiceSource, type Device, type KernelCall } from '@troupe/kernel-set';
import * as fc from 'fast-check';
import { int64Output, opCases, output, sizes, type CaseTable } from './built-case.ts';
import { bytesOf, floatsOf, int64sOf, intsBy } from './device-values.ts';
import type { Draw } from './draw.ts';

const choiceShape = fc.record({
  experts: sizes(1, 20),
  seqLen: sizes(1, 5),
  groups: sizes(0, 3),
  parts: sizes(1, 4),
  partSequences: sizes(1, 9),
  firstPart: sizes(0, 7),
  padding: fc.boolean(),
  ties: fc.boolean(),
});

type ChoiceShape = typeof choiceShape extends fc.Arbitrary<infer S> ? S : never;

/** A probability, now and then what a diverged router gives. */
function probability(draw: Draw, ties: boolean): number {
  const kind = draw.unit();
  if (kind < 0.02) return Number.NaN;
  if (kind < 0.04) return -0;
  if (kind < 0.06) return Infinity;
  return ties ? draw.integer(0, 4) / 4 : Math.abs(draw.value());
}

/** Whole groups, or with `firstPart` parts of them, from some part of a group on. */
export function choiceParts(device: Device, draw: Draw, shape: Omit<ChoiceShape, 'firstPart'>) {
  const { experts, seqLen, groups, parts, partSequences } = shape;
  const tokens = groups * parts * partSequences * seqLen;
  const probs = Array.from({ length: tokens * experts }, () => probability(draw, shape.ties));
  const valid = Array.from({ length: tokens }, () => (draw.unit() < 0.3 ? 0 : 1));
  return {
    tokens,
    experts,
    seqLen,
    partSequences,
    groupSequences: parts * partSequences,
    firstSequence: 0,
    probs_TE: floatsOf(device, probs),
    ...(shape.padding ? { valid_T: bytesOf(device, valid) } : {}),
  };
}

/** k from 1 to n, small ones often, and candidates enough for it. */
function drawTake(draw: Draw, { groupSequences, partSequences }: ReturnType<typeof choiceParts>) {
  const chosen = 1 + draw.integer(0, draw.chance() ? groupSequences : Math.min(3, groupSequences));
  return { chosen, take: Math.min(chosen, partSequences) + draw.integer(0, 2) };
}

/** Candidates of all parts, and for each group the calls that decide it; thresholds are the same for all parts of a group. */
function decided(device: Device, draw: Draw, shape: ChoiceShape) {
  const fields = choiceParts(device, draw, shape);
  const { experts, seqLen, groupSequences } = fields;
  const { parts, groups } = shape;
  const { chosen, take } = drawTake(draw, fields);
  const [keysOfPart, perGroup] = [seqLen * experts * take, seqLen * experts];
  const keys = device.int64s(groups * parts * keysOfPart);
  const numValid = device.ints(groups * parts * seqLen);
  const thresholds = device.int64s(groups * perGroup);
  const probSums_E = int64sOf(
    device,
    Array.from({ length: experts }, () => 5n),
  );
  const numGroups = int64sOf(device, [7n]);
  const counted = draw.chance() ? { probSums_E, numGroups } : {};
  const decide = (group: number): KernelCall => ({
    op: 'choice.thresholds',
    positions: seqLen,
    experts,
    take,
    sources: draw.shuffle(
      Array.from({ length: parts }, (_, part): ChoiceSource => {
        const at = group * parts + part;
        return {
          keys: keys.subarray(at * keysOfPart, (at + 1) * keysOfPart),
          numValid: numValid.subarray(at * seqLen, (at + 1) * seqLen),
        };
      }),
    ),
    groupSequences,
    chosen,
    thresholds: thresholds.subarray(group * perGroup, (group + 1) * perGroup),
    ...counted,
  });
  const calls: KernelCall[] = [
    { op: 'choice.candidates', ...fields, take, keys, numValid },
    ...Array.from({ length: groups }, (_, group) => decide(group)),
  ];
  return { fields, calls, keys, numValid, thresholds, probSums_E, numGroups };
}

export const choiceCases = {
  'choice.candidates': opCases(choiceShape, (device, draw, shape) => {
    const fields = choiceParts(device, draw, shape);
    const { tokens, experts, partSequences } = fields;
    const { take } = drawTake(draw, fields);
    const positions = tokens / partSequences;
    const keys = int64sOf(
      device,
      Array.from({ length: positions * experts * take }, () => 3n),
    );
    const numValid = intsBy(device, positions, () => -7);
    const firstSequence = shape.firstPart * partSequences;
    return {
      calls: [{ op: 'choice.candidates', ...fields, firstSequence, take, keys, numValid }],
      outputs: [int64Output('keys', keys), output('numValid', 'exact', numValid)],
    };
  }),

  'choice.thresholds': opCases(
    choiceShape.map((shape) => ({ ...shape, groups: Math.max(1, shape.groups) })),
    (device, draw, shape) => {
      const { calls, thresholds, probSums_E, numGroups } = decided(device, draw, shape);
      return {
        calls,
        outputs: [
          int64Output('thresholds', thresholds),
          int64Output('probSums_E', probSums_E),
          int64Output('numGroups', numGroups),
        ],
      };
    },
  ),

  'choice.take': opCases(choiceShape, (device, draw, shape) => {
    const { fields, calls, thresholds } = decided(device, draw, shape);
    const choices_TE = intsBy(device, fields.tokens * fields.experts, () => -7);
    const whole = { ...fields, partSequences: fields.groupSequences };
    return {
      calls: [...calls, { op: 'choice.take', ...whole, thresholds, choices_TE }],
      outputs: [output('choices_TE', 'exact', choices_TE)],
    };
  }),

  'choice.above': opCases(choiceShape, (device, draw, shape) => {
    const { tokens, experts, probs_TE, ...fields } = choiceParts(device, draw, shape);
    const choices_TE = intsBy(device, tokens * experts, () => -7);
    const thresholds_E = floatsOf(
      device,
      Array.from({ length: experts }, () => probability(draw, shape.ties)),
    );
    const valid = 'valid_T' in fields ? { valid_T: fields.valid_T } : {};
    return {
      calls: [{ op: 'choice.above', tokens, experts, probs_TE, ...valid, thresholds_E, choices_TE }],
      outputs: [output('choices_TE', 'exact', choices_TE)],
    };
  }),
} satisfies Partial<CaseTable>;
