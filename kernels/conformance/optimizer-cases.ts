/** Random cases of the updates of parameters beside AdamW. */
import { muonWork } from '@troupe/kernel-set';
import * as fc from 'fast-check';
import { opCases, output, sizes, type CaseTable } from './built-case.ts';
import { floatsOf } from './device-values.ts';

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

  adafactor: opCases(
    fc.record({
      rows: sizes(1, 40),
      columns: sizes(1, 70),
      isMatrix: fc.boolean(),
      inPlace: fc.boolean(),
      relative: fc.boolean(),
    }),
    (device, draw, { rows, columns, isMatrix, inPlace, relative }) => {
      const length = rows * columns;
      const weights = draw.floats(device, length);
      const out = inPlace ? weights : draw.floats(device, length);
      const moments = (count: number) =>
        floatsOf(
          device,
          draw.values(count, 0.1, 0.01).map((each) => Math.abs(each) + 1e-4),
        );
      const row = moments(isMatrix ? rows : length);
      const column = moments(columns);
      const gradient = draw.gradient(device, length);
      const work = device.floats(length);
      const rates = { gradScale: 0.5, learningRate: 0.05, weightDecay: 0.1, beta2: 0.4, relative };
      const kept = isMatrix ? { row, column } : { row };
      return {
        calls: [{ op: 'adafactor', rows, columns, weights, out, gradient, work, ...kept, ...rates }],
        outputs: [
          output('out', 'forward', out),
          output('row', 'forward', row),
          ...(isMatrix ? [output('column', 'forward', column)] : []),
        ],
      };
    },
  ),

  muon: opCases(
    fc.record({
      rows: sizes(1, 40),
      columns: sizes(1, 70),
      inPlace: fc.boolean(),
      nesterov: fc.boolean(),
      isStill: fc.boolean(),
    }),
    (device, draw, { rows, columns, inPlace, nesterov, isStill }) => {
      const length = rows * columns;
      const weights = draw.floats(device, length);
      const out = inPlace ? weights : draw.floats(device, length);
      const m = draw.floats(device, length, 0.1);
      const gradient = isStill ? device.int64s(length) : draw.gradient(device, length);
      const work = device.floats(muonWork(rows, columns));
      const rates = { gradScale: 0.5, learningRate: 0.02, weightDecay: 0.1, momentum: 0.95, scale: 0.3 };
      return {
        calls: [{ op: 'muon', rows, columns, weights, out, m, gradient, work, nesterov, ...rates }],
        outputs: [output('out', 'forward', out), output('m', 'forward', m)],
      };
    },
  ),
} satisfies Partial<CaseTable>;
