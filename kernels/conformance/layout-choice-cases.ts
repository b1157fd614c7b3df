import type { ChoiceSource, Int64s, Ints, KernelCall } from '@troupe/kernel-set';
import { choiceParts } from './choice-cases.ts';
import { intsBy } from './device-values.ts';
import type { BuildLayout } from './layout-case.ts';
import { numGrains, pieces } from './layout-shape.ts';

/**
 * A group that one process has, and one whose parts lie on several, which decide some positions each: the same choices, and the same
 * thresholds and sums.
 */
export const choice: BuildLayout = (device, draw, layout) => {
  const [experts, seqLen, partSequences] = [1 + (layout.width % 19), 5, 2];
  const parts = numGrains(layout);
  const fields = choiceParts(device, draw, {
    experts,
    seqLen,
    groups: 1,
    parts,
    partSequences,
    padding: draw.chance(),
    ties: draw.chance(),
  });
  const n = fields.groupSequences;
  const chosen = 1 + draw.integer(0, n);
  const results = () => ({
    thresholds: device.int64s(seqLen * experts),
    choices_TE: intsBy(device, fields.tokens * experts, () => -7),
    probSums_E: device.int64s(experts),
    numGroups: device.int64s(1),
  });
  const shape = { experts, groupSequences: n, chosen };
  const [one, many] = [results(), results()];
  const candidates = (take: number, numParts: number) => ({
    take,
    keys: device.int64s(numParts * seqLen * experts * take),
    numValid: device.ints(numParts * seqLen),
  });

  const own = candidates(chosen, 1);
  const whole: KernelCall[] = [
    { op: 'choice.candidates', ...fields, partSequences: n, ...own },
    { op: 'choice.thresholds', ...shape, ...one, positions: seqLen, take: chosen, sources: [own] },
    { op: 'choice.take', ...fields, partSequences: n, ...one },
  ];

  const take = Math.min(chosen, partSequences);
  const perPart = seqLen * experts * take;
  const all = candidates(take, parts);
  const split: KernelCall[] = [];
  const sequences = pieces(device, layout);
  const pieceOf = ({ firstGrain, numGrains: count }: (typeof sequences)[number]) => {
    const [firstSequence, tokens] = [firstGrain * partSequences, count * partSequences * seqLen];
    const first = firstSequence * seqLen;
    return {
      ...fields,
      tokens,
      firstSequence,
      probs_TE: fields.probs_TE.subarray(first * experts),
      ...('valid_T' in fields ? { valid_T: fields.valid_T.subarray(first) } : {}),
    };
  };
  for (const piece of sequences)
    split.push({
      op: 'choice.candidates',
      ...pieceOf(piece),
      take,
      keys: all.keys.subarray(piece.firstGrain * perPart),
      numValid: all.numValid.subarray(piece.firstGrain * seqLen),
    });
  const cut = draw.integer(0, seqLen + 1);
  for (const [first, last] of [
    [0, cut],
    [cut, seqLen],
  ] as const) {
    const of = (keys: Int64s, numValid: Ints): ChoiceSource => ({
      keys: keys.subarray(first * experts * take, last * experts * take),
      numValid: numValid.subarray(first, last),
    });
    split.push({
      op: 'choice.thresholds',
      ...shape,
      ...many,
      positions: last - first,
      take,
      sources: draw.shuffle(
        Array.from({ length: parts }, (_, part) =>
          of(
            all.keys.subarray(part * perPart, (part + 1) * perPart),
            all.numValid.subarray(part * seqLen, (part + 1) * seqLen),
          ),
        ),
      ),
      thresholds: many.thresholds.subarray(first * experts, last * experts),
    });
  }
  for (const piece of sequences)
    for (let part = 0; part < piece.numGrains; part++) {
      const grain = { ...piece, firstGrain: piece.firstGrain + part, numGrains: 1 };
      const choices_TE = many.choices_TE.subarray(grain.firstGrain * partSequences * seqLen * experts);
      split.push({ op: 'choice.take', ...pieceOf(grain), thresholds: many.thresholds, choices_TE });
    }
  return {
    whole,
    split,
    same: (Object.keys(one) as (keyof typeof one)[]).map((name) => [one[name], many[name]] as const),
  };
};
