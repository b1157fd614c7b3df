/** Random cases of sums over parts that may lie on several ranks. */
import type { Device, HeadFinishCall } from '@troupe/kernel-set';
import * as fc from 'fast-check';
import {
  lossOutput,
  opCases,
  output,
  overflowOutput,
  sizes,
  targetOutput,
  type CaseTable,
} from './built-case.ts';
import { int64sOf, intsBy } from './device-values.ts';
import type { Draw } from './draw.ts';
import { smoothing } from './row-cases.ts';

const headShape = fc.record({
  tokens: sizes(0, 20),
  dim: sizes(1, 40),
  vocab: sizes(1, 70),
  firstVocab: sizes(0, 9),
  grains: sizes(1, 4),
  smoothing,
});

type HeadShape = typeof headShape extends fc.Arbitrary<infer S> ? S : never;

/** A part of a head, with targets in it and around it, and what its sums are. */
function headPart(device: Device, draw: Draw, shape: HeadShape) {
  const { tokens, dim, vocab, firstVocab, grains } = shape;
  const floats = () => device.floats(tokens);
  const part = {
    tokens,
    dim,
    vocab,
    firstVocab,
    x_TD: draw.floats(device, tokens * dim),
    head_VD: draw.floats(device, vocab * dim),
    targets_T: intsBy(device, tokens, () => draw.integer(-1, firstVocab + vocab + 3)),
    grainStarts: draw.starts(device, tokens, grains),
  };
  const sums = { max_T: floats(), sum_T: floats(), logit_T: floats() };
  return { part, sums: shape.smoothing === null ? sums : { ...sums, logitSum_T: floats() } };
}

const normShape = fc.record({ rows: sizes(0, 9), dim: sizes(1, 70) });

export const partCases = {
  'partials.add': opCases(
    fc.record({
      length: sizes(0, 60),
      parts: sizes(1, 64),
      start: fc.constantFrom('zero', 'base', 'out', 'part'),
    }),
    (device, draw, { length, parts: count, start }) => {
      const parts = Array.from({ length: count }, () => draw.floats(device, length));
      const out = start === 'part' ? parts[draw.integer(0, count)]! : draw.floats(device, length);
      const base =
        start === 'zero' || start === 'part'
          ? {}
          : { base: start === 'out' ? out : draw.floats(device, length) };
      return {
        calls: [{ op: 'partials.add', parts, ...base, out }],
        outputs: [output('out', 'forward', out)],
      };
    },
  ),

  'head.partial': opCases(headShape, (device, draw, shape) => {
    const { part, sums } = headPart(device, draw, shape);
    return {
      calls: [{ op: 'head.partial', ...part, ...sums }],
      outputs: Object.entries(sums).map(([name, array]) => output(name, 'forward', array)),
    };
  }),

  'head.join': opCases(
    fc.record({
      tokens: sizes(0, 40),
      parts: sizes(1, 64),
      grains: sizes(1, 4),
      counted: fc.boolean(),
      smoothing,
    }),
    (device, draw, { tokens, parts: count, grains, counted, smoothing: epsilon }) => {
      const isSmoothed = epsilon !== null && epsilon > 0;
      let vocab = 0;
      const parts = Array.from({ length: count }, () => {
        const part = {
          firstVocab: vocab,
          vocab: draw.integer(1, 5),
          max_T: draw.floats(device, tokens, 3),
          sum_T: device.floats(tokens),
          logit_T: draw.floats(device, tokens, 3),
          ...(isSmoothed ? { logitSum_T: draw.floats(device, tokens, 9) } : {}),
        };
        device.write(part.sum_T, draw.values(tokens, 5, 1).map(Math.abs));
        vocab += part.vocab;
        return part;
      });
      const [lse_T, loss_T] = [device.floats(tokens), device.floats(tokens)];
      const lossSum = int64sOf(device, [1n << 40n, 0n]);
      const nllSum = int64sOf(device, [1n << 41n, 0n]);
      return {
        calls: [
          {
            op: 'head.join',
            tokens,
            parts,
            targets_T: intsBy(device, tokens, () => draw.integer(-1, vocab)),
            grainStarts: draw.starts(device, tokens, grains),
            lse_T,
            loss_T,
            ...(counted ? { lossSum } : {}),
            ...(epsilon === null ? {} : { smoothing: epsilon, nllSum }),
          },
        ],
        outputs: [
          output('lse_T', 'forward', lse_T),
          output('loss_T', 'forward', loss_T),
          lossOutput('lossSum', lossSum),
          lossOutput('nllSum', nllSum),
        ],
      };
    },
  ),

  'head.finish': opCases(headShape, (device, draw, shape) => {
    const { part, sums } = headPart(device, draw, shape);
    const { tokens, dim, vocab } = shape;
    const dx_TD = draw.floats(device, tokens * dim);
    const headSum = draw.target(device, vocab * dim);
    const [lse_T, loss_T] = [device.floats(tokens), device.floats(tokens)];
    const { smoothing: epsilon } = shape;
    const smoothed = epsilon === null ? {} : { smoothing: epsilon, fullVocab: vocab + draw.integer(0, 90) };
    const rest = { lse_T, gradScale: 0.25, dx_TD, headSum, ...smoothed };
    const finish: HeadFinishCall = { op: 'head.finish', ...part, ...rest };
    // Targets of other parts, of which there are none here, have no loss.
    const targets_T = intsBy(device, tokens, () => -1);
    const { grainStarts } = part;
    const parts = [{ ...sums, firstVocab: part.firstVocab, vocab }];
    return {
      calls: [
        { op: 'head.partial', ...part, ...sums },
        { op: 'head.join', tokens, parts, targets_T, grainStarts, lse_T, loss_T },
        finish,
      ],
      outputs: [
        output('dx_TD', 'gradient', dx_TD),
        targetOutput('headSum', headSum),
        overflowOutput(headSum),
      ],
    };
  }),

  'norm.squares': opCases(normShape, (device, draw, { rows, dim }) => {
    const out_T = draw.floats(device, rows);
    return {
      calls: [{ op: 'norm.squares', rows, dim, x: draw.rows(device, rows, dim), out_T }],
      outputs: [output('out_T', 'forward', out_T)],
    };
  }),

  'norm.products': opCases(normShape, (device, draw, { rows, dim }) => {
    const [out_T, stats] = [draw.floats(device, rows), draw.floats(device, rows, 2, 0.5)];
    const [x, dOut] = [draw.rows(device, rows, dim), draw.rows(device, rows, dim)];
    const weight = draw.floats(device, dim);
    return {
      calls: [{ op: 'norm.products', rows, dim, x, weight, stats, dOut, out_T }],
      outputs: [output('out_T', 'gradient', out_T)],
    };
  }),
} satisfies Partial<CaseTable>;
