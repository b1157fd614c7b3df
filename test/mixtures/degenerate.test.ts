import test from 'ava';
import type { GateRule } from 'troupe';
import { nameOf, type Mixture } from './mixture.ts';
import { builtPart, differences, type Given } from './mixture-run.ts';
import { mixtureTokens } from './mixture-topology.ts';
import { mixtures } from './table.ts';

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

const usual = mixtureTokens(61);

/** One token of each step has a target, wherever it lies. */
const oneToken: Given = {
  name: 'one token',
  tokens: {
    ...usual,
    trainBatch: async (step, first, count) => {
      const batch = await usual.trainBatch(step, first, count);
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

/** Of many axes, one with as many groups as experts, one whose stages have no experts. */
const divided: readonly Mixture[] = [
  mixtures.find(({ pp, dp, ep, model }) => pp === 2 && dp === 3 && ep === 3 && model === 'tied'),
  mixtures.find(({ ep, model }) => ep === 6 && model !== 'global'),
  mixtures.find(({ pp, dp, model }) => pp === 3 && dp === 6 && model === 'late'),
].flatMap((mixture) => mixture ?? []);

for (const given of odd)
  for (const mixture of divided.map(builtPart))
    test(`degenerate: ${given.name}: ${nameOf(mixture)}`, async (t) => {
      t.deepEqual(await differences(mixture, given), []);
    });
