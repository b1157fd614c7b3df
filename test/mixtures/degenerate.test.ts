import test from 'ava';
import type { GateRule } from 'troupe';
import { nameOf, usual, type Mixture } from './mixture.ts';
import { builtPart, differences, type Given } from './mixture-run.ts';
import { mixtureTokens } from './mixture-topology.ts';
import { inPart } from './part.ts';

/** Each token's choices from its place in the batch alone. */
const chooses = (name: string, choicesOf: (token: number) => readonly number[]): Given => {
  const gate: GateRule = {
    name,
    choose: (_logits, { tokens, topK, firstToken }) =>
      Int32Array.from({ length: tokens * topK }, (__, at) => {
        const choices = choicesOf(firstToken + Math.floor(at / topK));
        return choices[at % topK] ?? -1;
      }),
  };
  return { name, gate };
};

const tokens = mixtureTokens({ vocab: 61, encoder: null });

/** One token of each step has a target, wherever it lies. */
const oneToken: Given = {
  name: 'one token',
  tokens: {
    ...tokens,
    trainBatch: async (step, first, count) => {
      const batch = await tokens.trainBatch(step, first, count);
      const targets_T = new Int32Array(batch.targets_T.length).fill(-1);
      const valid_T = new Uint8Array(targets_T.length);
      const perSequence = targets_T.length / count;
      const at = (7 - first) * perSequence;
      if (first <= 7 && 7 < first + count) {
        targets_T[at] = batch.targets_T[at] ?? 0;
        valid_T[at] = 1;
      }
      return { ...batch, targets_T, valid_T };
    },
  },
};

const odd: readonly Given[] = [
  chooses('all rows to one expert', () => [4]),
  chooses('an expert without rows on some ranks', (token) => (token < 40 ? [0, 3] : [3, 5])),
  chooses('no rows at all', () => []),
  oneToken,
];

const tensor = { tp: 2, sliced: false, segments: 4 } as const;

/**
 * Of many axes, one with as many groups as experts, one whose stages have no experts; and tensor ranks with a run of the grains each, some of
 * which have no token, beside stages and apart. Three send rows in chunks, of which some are empty then.
 */
const divided: readonly Mixture[] = [
  { ...usual, pp: 2, dp: 3, ep: 3, zero: 3, microbatches: 2, model: 'tied', rows: 'chunks' },
  { ...usual, dp: 6, ep: 6, zero: 2, recompute: 'layer', experts: 'by hand', rows: 'chunks' },
  { ...usual, pp: 3, dp: 6, zero: 1, microbatches: 2, model: 'late', precision: 'bf16' },
  { ...usual, dp: 2, ep: 2, model: 'normed', recompute: 'layer' },
  { ...usual, ...tensor, dp: 2, ep: 2, zero: 2, microbatches: 3, rows: 'chunks' },
  { ...usual, ...tensor, pp: 2, ep: 3, apart: 2, pipeline: 'zero-bubble', microbatches: 2 },
];

for (const [shift, given] of odd.entries())
  for (const mixture of inPart(divided, shift, 6).map(builtPart))
    test(`degenerate: ${given.name}: ${nameOf(mixture)}`, async (t) => {
      t.deepEqual(await differences(mixture, given), []);
    });

/** Where experts choose, own gates have no say: one token in a group of which three, or two, replicas have parts. */
const chosen: readonly Mixture[] = [
  { ...usual, dp: 3, ep: 3, microbatches: 6, model: 'choice', rows: 'chunks' },
  { ...usual, pp: 2, dp: 2, microbatches: 2, zero: 2, model: 'choice' },
];

for (const mixture of chosen)
  test(`degenerate: ${oneToken.name}: ${nameOf(mixture)}`, async (t) => {
    t.deepEqual(await differences(mixture, oneToken), []);
  });
