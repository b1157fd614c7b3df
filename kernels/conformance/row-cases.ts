/** Random cases of the operations that work row by row. */
import { NORM_QUANTUM_LOG2, type Device, type KernelCall } from '@troupe/kernel-set';
import { wideNumber } from '@troupe/core';
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
import { bf16Value } from '../reference/bf16.ts';
import { floatsOf, halvesOf, int64sOf, intsBy } from './device-values.ts';
import type { Draw } from './draw.ts';

/** Of a part of the vocabulary, or the whole. */
const firstId = fc.option(sizes(0, 9), { nil: null });

/** Of labels; absent in half of the cases. */
export const smoothing = fc.option(fc.constantFrom(0, 0.1, 0.75), { nil: null });

/** Ids of a table of `vocab` words, and of words before and behind it where it is a part. */
function drawIds(
  device: Device,
  draw: Draw,
  { tokens, vocab, firstId: first }: { tokens: number; vocab: number; firstId: number | null },
) {
  if (first === null) return { ids_T: intsBy(device, tokens, () => draw.integer(0, vocab)) };
  return { ids_T: intsBy(device, tokens, () => draw.integer(0, first + vocab + 3)), firstId: first };
}

export const rowCases = {
  fill: opCases(
    fc.record({
      kind: fc.constantFrom(
        'constant' as const,
        'uniform' as const,
        'normal' as const,
        'truncated-normal' as const,
      ),
      length: sizes(0, 200),
      firstIndex: sizes(0, 9000),
      row: fc.option(sizes(1, 70), { nil: null }),
      gap: sizes(0, 9),
    }),
    (device, draw, { kind, length, firstIndex, row, gap }) => {
      const out = draw.floats(device, length);
      const key = [draw.integer(0, 2 ** 32), draw.integer(0, 2 ** 32)] as const;
      const block = row === null ? {} : { rowLength: row, rowStride: row + gap };
      return {
        calls: [{ op: 'fill', kind, out, scale: 0.7, key, firstIndex, ...block }],
        outputs: [output('out', 'forward', out)],
      };
    },
  ),

  copy: opCases(fc.record({ length: sizes(0, 100) }), (device, draw, { length }) => {
    const out = draw.floats(device, length);
    return {
      calls: [{ op: 'copy', from: draw.floats(device, length), out }],
      outputs: [output('out', 'exact', out)],
    };
  }),

  'round.bf16': opCases(
    fc.record({ length: sizes(0, 100), halves: fc.boolean(), packed: fc.boolean(), inPlace: fc.boolean() }),
    (device, draw, { length, halves, packed, inPlace }) => {
      const values = Array.from(draw.values(length), (value) => value * 2 ** draw.integer(-150, 100));
      const x = halves ? halvesOf(device, values) : floatsOf(device, values);
      const out = inPlace ? x : packed ? device.halves(length) : draw.floats(device, length);
      const read = (on: Device) =>
        Float64Array.from(
          on.read<'f32' | 'bf16'>(out),
          out === x && halves ? bf16Value : packed && out !== x ? bf16Value : Number,
        );
      return {
        calls: [{ op: 'round.bf16', x, out }],
        outputs: [{ name: 'out', kind: 'exact', read }],
      };
    },
  ),

  'embed.forward': opCases(
    fc.record({ tokens: sizes(0, 12), vocab: sizes(1, 9), dim: sizes(1, 40), firstId }),
    (device, draw, { tokens, vocab, dim, firstId }) => {
      const out_TD = draw.floats(device, tokens * dim);
      const { ids_T, ...part } = drawIds(device, draw, { tokens, vocab, firstId });
      const table_VD = draw.floats(device, vocab * dim);
      return {
        calls: [{ op: 'embed.forward', ids_T, table_VD, out_TD, dim, ...part }],
        outputs: [output('out_TD', 'exact', out_TD)],
      };
    },
  ),

  'embed.backward': opCases(
    fc.record({ tokens: sizes(0, 30), vocab: sizes(1, 9), dim: sizes(1, 40), grains: sizes(1, 4), firstId }),
    (device, draw, { tokens, vocab, dim, grains, firstId }) => {
      const tableSum = draw.target(device, vocab * dim);
      const { ids_T, ...part } = drawIds(device, draw, { tokens, vocab, firstId });
      const grainStarts = draw.starts(device, tokens, grains);
      const dOut_TD = draw.floats(device, tokens * dim);
      return {
        calls: [{ op: 'embed.backward', ids_T, dOut_TD, dim, grainStarts, tableSum, ...part }],
        outputs: [targetOutput('tableSum', tableSum), overflowOutput(tableSum)],
      };
    },
  ),

  'norm.forward': opCases(
    fc.record({
      kind: fc.constantFrom('rms' as const, 'layer' as const),
      rows: sizes(0, 9),
      groups: sizes(1, 4),
      dim: sizes(1, 70),
      bias: fc.boolean(),
      part: fc.boolean(),
    }),
    (device, draw, { kind, rows, groups, dim, bias, part }) => {
      const out = draw.rows(device, rows, groups * dim);
      const stats = draw.floats(device, rows * groups * (kind === 'layer' ? 2 : 1));
      const x = draw.rows(device, rows, groups * dim, 0.2);
      const weight = draw.floats(device, dim);
      const withBias = bias ? { bias: draw.floats(device, dim) } : {};
      return {
        calls: [
          {
            op: 'norm.forward',
            kind,
            rows,
            groups,
            dim,
            eps: 1e-2,
            x,
            weight,
            ...withBias,
            out,
            stats,
            ...(part && kind === 'rms' && groups === 1
              ? { squares_T: floatsOf(device, draw.values(rows, dim).map(Math.abs)), fullDim: dim + 3 }
              : {}),
          },
        ],
        outputs: [output('out', 'forward', out.data), output('stats', 'forward', stats)],
      };
    },
  ),

  'norm.backward': opCases(
    fc.record({
      kind: fc.constantFrom('rms' as const, 'layer' as const),
      rows: sizes(0, 9),
      groups: sizes(1, 4),
      dim: sizes(1, 70),
      grains: sizes(1, 4),
      accumulate: fc.boolean(),
      bias: fc.boolean(),
      part: fc.boolean(),
    }),
    (device, draw, { kind, rows, groups, dim, grains, accumulate, bias, part }) => {
      const x = draw.rows(device, rows, groups * dim, 0.2);
      const weight = draw.floats(device, dim);
      const stats = device.floats(rows * groups * (kind === 'layer' ? 2 : 1));
      const dx = draw.rows(device, rows, groups * dim);
      const weightSum = draw.target(device, dim);
      const biasSum = draw.target(device, dim);
      const norm = { kind, rows, groups, dim, x, weight, stats } as const;
      const out = { data: device.floats(rows * groups * dim) };
      const dOut = draw.rows(device, rows, groups * dim);
      const grainStarts = draw.starts(device, rows, grains);
      const withBias = bias ? { biasSum } : {};
      const ofWhole =
        part && kind === 'rms' && groups === 1
          ? { products_T: draw.floats(device, rows, dim), fullDim: dim + 3 }
          : {};
      return {
        calls: [
          { op: 'norm.forward', ...norm, eps: 1e-2, out },
          {
            op: 'norm.backward',
            ...norm,
            dOut,
            dx,
            accumulate,
            grainStarts,
            weightSum,
            ...withBias,
            ...ofWhole,
          },
        ],
        outputs: [
          output('dx', 'gradient', dx.data),
          targetOutput('weightSum', weightSum),
          targetOutput('biasSum', biasSum),
        ],
      };
    },
  ),

  'linear.forward': opCases(
    fc.record({
      rows: sizes(0, 40),
      inDim: sizes(1, 70),
      outDim: sizes(1, 70),
      start: fc.constantFrom('zero', 'out', 'residual'),
    }),
    (device, draw, { rows, inDim, outDim, start }) => {
      const out = draw.rows(device, rows, outDim);
      const x = draw.rows(device, rows, inDim);
      const weight = draw.floats(device, outDim * inDim);
      const residual = draw.rows(device, rows, outDim);
      const from = start === 'out' ? { accumulate: true } : start === 'residual' ? { residual } : {};
      return {
        calls: [{ op: 'linear.forward', rows, inDim, outDim, x, weight, out, ...from }],
        outputs: [output('out', 'forward', out.data)],
      };
    },
  ),

  'linear.backward.input': opCases(
    fc.record({ rows: sizes(0, 40), inDim: sizes(1, 70), outDim: sizes(1, 70), accumulate: fc.boolean() }),
    (device, draw, { rows, inDim, outDim, accumulate }) => {
      const dx = draw.rows(device, rows, inDim);
      const dOut = draw.rows(device, rows, outDim);
      const weight = draw.floats(device, outDim * inDim);
      return {
        calls: [{ op: 'linear.backward.input', rows, inDim, outDim, dOut, weight, dx, accumulate }],
        outputs: [output('dx', 'gradient', dx.data)],
      };
    },
  ),

  'linear.backward.weight': opCases(
    fc.record({ rows: sizes(0, 40), inDim: sizes(1, 70), outDim: sizes(1, 70), grains: sizes(1, 5) }),
    (device, draw, { rows, inDim, outDim, grains }) => {
      const weightSum = draw.target(device, outDim * inDim);
      const dOut = draw.rows(device, rows, outDim);
      const x = draw.rows(device, rows, inDim);
      const grainStarts = draw.starts(device, rows, grains);
      return {
        calls: [{ op: 'linear.backward.weight', rows, inDim, outDim, dOut, x, grainStarts, weightSum }],
        outputs: [targetOutput('weightSum', weightSum), overflowOutput(weightSum)],
      };
    },
  ),

  rope: opCases(
    fc.record({
      batch: sizes(0, 3),
      seqLen: sizes(1, 9),
      heads: sizes(1, 4),
      half: sizes(1, 20),
      inverse: fc.boolean(),
      firstPosition: sizes(0, 5),
    }),
    (device, draw, { batch, seqLen, heads, half, inverse, firstPosition }) => {
      const rows = batch * seqLen;
      const x = draw.rows(device, rows, heads * half * 2);
      const angles = Array.from({ length: rows === 0 ? 0 : (firstPosition + seqLen) * half }, () =>
        draw.value(3),
      );
      const cos_S2 = floatsOf(
        device,
        angles.map((angle) => Math.fround(Math.cos(angle))),
      );
      const sin_S2 = floatsOf(
        device,
        angles.map((angle) => Math.fround(Math.sin(angle))),
      );
      return {
        calls: [
          { op: 'rope', rows, seqLen, heads, headDim: 2 * half, x, cos_S2, sin_S2, inverse, firstPosition },
        ],
        outputs: [output('x', 'forward', x.data)],
      };
    },
  ),

  'positions.add': opCases(
    fc.record({
      batch: sizes(0, 3),
      seqLen: sizes(1, 9),
      dim: sizes(1, 70),
      documents: fc.boolean(),
      firstPosition: sizes(0, 5),
    }),
    (device, draw, { batch, seqLen, dim, documents, firstPosition }) => {
      const rows = batch * seqLen;
      const out_TD = draw.floats(device, rows * dim);
      const table_SD = draw.floats(device, rows === 0 ? 0 : (firstPosition + seqLen) * dim);
      const firstSeen_T = intsBy(device, rows, (t) => draw.integer(0, (t % seqLen) + 1));
      const seen = documents ? { firstSeen_T } : {};
      return {
        calls: [{ op: 'positions.add', rows, seqLen, dim, out_TD, table_SD, ...seen, firstPosition }],
        outputs: [output('out_TD', 'forward', out_TD)],
      };
    },
  ),

  'head.loss': opCases(
    fc.record({
      tokens: sizes(0, 20),
      dim: sizes(1, 40),
      vocab: sizes(1, 70),
      grains: sizes(1, 4),
      backward: fc.boolean(),
      smoothing,
    }),
    (device, draw, { tokens, dim, vocab, grains, backward, smoothing: epsilon }) => {
      const loss_T = draw.floats(device, tokens);
      const lossSum = int64sOf(device, [1n << 40n, 0n]);
      const nllSum = int64sOf(device, [1n << 41n, 0n]);
      const dx_TD = draw.floats(device, tokens * dim);
      const headSum = draw.target(device, vocab * dim);
      const x_TD = draw.floats(device, tokens * dim);
      const head_VD = draw.floats(device, vocab * dim);
      const targets_T = intsBy(device, tokens, () => draw.integer(-1, vocab));
      const grainStarts = draw.starts(device, tokens, grains);
      const call: KernelCall = {
        op: 'head.loss',
        tokens,
        dim,
        vocab,
        x_TD,
        head_VD,
        targets_T,
        grainStarts,
        loss_T,
        lossSum,
        ...(epsilon === null ? {} : { smoothing: epsilon, nllSum }),
      };
      return {
        calls: [backward ? { ...call, gradScale: 0.25, dx_TD, headSum } : call],
        outputs: [
          output('loss_T', 'forward', loss_T),
          lossOutput('lossSum', lossSum),
          lossOutput('nllSum', nllSum),
          output('dx_TD', 'gradient', dx_TD),
          targetOutput('headSum', headSum),
          overflowOutput(headSum),
        ],
      };
    },
  ),

  'sum.add': opCases(
    fc.record({ length: sizes(0, 60), flag: fc.integer({ min: 0, max: 1 }) }),
    (device, draw, { length, flag }) => {
      const sum = draw.sum(device, length);
      const other = draw.sum(device, length).values;
      return {
        calls: [{ op: 'sum.add', sum, other, otherOverflow: flag }],
        outputs: [
          { name: 'sum', kind: 'exact', read: (device) => halves(device.read(sum.values)) },
          overflowOutput(sum),
        ],
      };
    },
  ),

  'sum.reset': opCases(fc.record({ length: sizes(0, 60) }), (device, draw, { length }) => {
    const sum = draw.sum(device, length);
    device.write(sum.overflow, [1]);
    return {
      calls: [{ op: 'sum.reset', sum }],
      outputs: [
        { name: 'sum', kind: 'exact', read: (device) => halves(device.read(sum.values)) },
        overflowOutput(sum),
      ],
    };
  }),

  'sum.read': opCases(fc.record({ length: sizes(0, 60) }), (device, draw, { length }) => {
    const sum = int64sOf(
      device,
      Array.from(
        { length },
        () => BigInt(draw.integer(-(2 ** 31), 2 ** 31)) * BigInt(draw.integer(1, 2 ** 25)),
      ),
    );
    const out = draw.floats(device, length);
    return { calls: [{ op: 'sum.read', sum, out }], outputs: [output('out', 'forward', out)] };
  }),

  'sum.squares': opCases(fc.record({ length: sizes(0, 2500) }), (device, draw, { length }) => {
    const gradient = draw.gradient(device, length);
    const norm128 = int64sOf(device, [-5n, 1n << 16n]);
    const read = (on: Device): number[] => [wideNumber(on.read(norm128), NORM_QUANTUM_LOG2)];
    return {
      calls: [{ op: 'sum.squares', gradient, norm128 }],
      outputs: [{ name: 'norm128', kind: 'forward', read }],
    };
  }),

  adamw: opCases(
    fc.record({ length: sizes(0, 70), inPlace: fc.boolean() }),
    (device, draw, { length, inPlace }) => {
      const weights = draw.floats(device, length);
      const out = inPlace ? weights : draw.floats(device, length);
      const m = draw.floats(device, length, 0.1);
      const v = floatsOf(device, draw.values(length, 0.1, 0.001).map(Math.abs));
      const gradient = draw.gradient(device, length);
      const rates = {
        gradScale: 0.5,
        learningRate: 0.05,
        beta1: 0.9,
        beta2: 0.95,
        eps: 1e-8,
        weightDecay: 0.1,
      };
      return {
        calls: [{ op: 'adamw', weights, out, m, v, gradient, ...rates, correction1: 0.3, correction2: 0.2 }],
        outputs: [output('out', 'forward', out), output('m', 'forward', m), output('v', 'forward', v)],
      };
    },
  ),
} satisfies Partial<CaseTable>;

/** int64 values as pairs of numbers that compare exactly. */
export const halves = (values: BigInt64Array): number[] =>
  Array.from(values, (value) => [Number(value >> 32n), Number(BigInt.asUintN(32, value))]).flat();
