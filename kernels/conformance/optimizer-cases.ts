/** Random cases of the updates of parameters beside AdamW. */
import * as fc from 'fast-check';
import { opCases, output, sizes, type CaseTable } from './built-case.ts';

export const optimizerCases = {
  sgd: opCases(
    fc.record({ length: sizes(0, 70), inPlace: fc.boolean(), nesterov: fc.boolean() }),
    (device, draw, { length, inPlace, nesterov }) => {
      const weights = draw.floats(device, length);
      const out = inPlace ? weights : draw.floats(device, length);
      const v = draw.floats(device, length, 0.1);
      const gradient = draw.gradient(device, length);
      const rates = { gradScale: 0.5, learningRate: 0.05, weightDecay: 0.1, momentum: 0.9, nesterov };
      return {
        calls: [{ op: 'sgd', weights, out, v, gradient, ...rates }],
        outputs: [output('out', 'forward', out), output('v', 'forward', v)],
      };
    },
  ),
} satisfies Partial<CaseTable>;
