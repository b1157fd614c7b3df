/** Random cases of what lies between a router's choices and the plan of rows. */
import * as fc from 'fast-check';
import { opCases, output, sizes, type CaseTable } from './built-case.ts';
import { floatsOf, intsOf } from './device-values.ts';
import { drawChoices } from './moe-cases.ts';

export const capacityCases = {
  'gate.weigh': opCases(
    fc.record({
      tokens: sizes(0, 20),
      experts: sizes(1, 20),
      places: sizes(1, 20),
      renormalise: fc.boolean(),
      before: fc.boolean(),
    }),
    (device, draw, { tokens, experts, places, renormalise, before }) => {
      const topK = Math.min(places, experts);
      const chosen = drawChoices(draw, tokens, experts, topK);
      const kept = chosen.map((expert) => (draw.chance() ? expert : -1));
      const weights_TK = draw.floats(device, tokens * topK);
      const call = {
        tokens,
        experts,
        topK,
        renormalise,
        probs_TE: floatsOf(device, draw.values(tokens * experts, 1, 0.01).map(Math.abs)),
        choices_TK: intsOf(device, kept),
        ...(before ? { divisor_TK: intsOf(device, chosen) } : {}),
        weights_TK,
      };
      return {
        calls: [{ op: 'gate.weigh', ...call }],
        outputs: [output('weights_TK', 'forward', weights_TK)],
      };
    },
  ),
} satisfies Partial<CaseTable>;
