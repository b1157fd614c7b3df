/** Random cases of loss-free balancing. */
import * as fc from 'fast-check';
import { opCases, output, sizes, type CaseTable } from './built-case.ts';
import { bytesOf, intsOf } from './device-values.ts';
import { drawChoices } from './moe-cases.ts';
import { halves } from './row-cases.ts';

export const biasCases = {
  'bias.count': opCases(
    fc.record({
      tokens: sizes(0, 40),
      experts: sizes(1, 20),
      choices: sizes(1, 4),
      padding: fc.boolean(),
      begin: fc.boolean(),
    }),
    (device, draw, { tokens, experts, choices, padding, begin }) => {
      const topK = Math.min(choices, experts);
      const valid = Array.from({ length: tokens }, () => (draw.chance() ? 1 : 0));
      const sum = { ...draw.sum(device, experts), begin };
      return {
        calls: [
          {
            op: 'bias.count',
            tokens,
            experts,
            topK,
            choices_TK: intsOf(device, drawChoices(draw, tokens, experts, topK)),
            ...(padding ? { valid_T: bytesOf(device, valid) } : {}),
            sum,
          },
        ],
        outputs: [{ name: 'sum', kind: 'exact', read: (on) => halves(on.read(sum.values)) }],
      };
    },
  ),

  'bias.step': opCases(
    fc.record({ length: sizes(0, 40), inPlace: fc.boolean() }),
    (device, draw, { length, inPlace }) => {
      const { values } = draw.sum(device, length);
      if (length > 0) device.write(values.subarray(0, 1), new BigInt64Array(1));
      const bias = draw.floats(device, length, 0.1);
      const out = inPlace ? bias : draw.floats(device, length);
      return {
        calls: [{ op: 'bias.step', bias, out, sum: values, rate: 0.001 }],
        outputs: [output('out', 'exact', out)],
      };
    },
  ),
} satisfies Partial<CaseTable>;
