/** Random cases of attention. */
import type { Device, Ints, RelativeBias, RelativeBuckets, Rows } from '@troupe/kernel-set';
import * as fc from 'fast-check';
import { opCases, output, overflowOutput, sizes, targetOutput, type CaseTable } from './built-case.ts';
import { intsBy, intsOf } from './device-values.ts';
import type { Draw } from './draw.ts';

/** Heads of queries, and of keys and values. */
const HEADS = fc.constantFrom(
  [1, 1] as const,
  [2, 1] as const,
  [4, 2] as const,
  [3, 3] as const,
  [6, 2] as const,
);

/** What rows see: all up to their own; that, from a start on; the whole of another stream; any run of it, none included. */
type View = 'causal' | 'documents' | 'memory' | 'runs';

interface Shape {
  readonly batch: number;
  readonly seqLen: number;
  readonly keyLen: number;
  readonly heads: readonly [number, number];
  readonly headDim: number;
  readonly view: View;
  readonly bias: RelativeBuckets | null;
}

/** Few and many buckets, near and far ones, with an odd number a direction. */
export const relativeBuckets: fc.Arbitrary<RelativeBuckets> = fc.constantFrom(
  { buckets: 32, bidirectional: true, maxDistance: 128 },
  { buckets: 32, bidirectional: false, maxDistance: 128 },
  { buckets: 7, bidirectional: true, maxDistance: 9 },
  { buckets: 9, bidirectional: false, maxDistance: 20 },
  { buckets: 2, bidirectional: false, maxDistance: 2 },
);

const shapes: fc.Arbitrary<Shape> = fc.record({
  batch: sizes(0, 3),
  seqLen: sizes(1, 40),
  keyLen: sizes(1, 60),
  heads: HEADS,
  headDim: sizes(1, 40),
  view: fc.constantFrom<View>('causal', 'documents', 'memory', 'runs'),
  bias: fc.option(relativeBuckets, { nil: null, freq: 2 }),
});

interface Seen {
  readonly keyLen?: number;
  readonly firstSeen_T?: Ints;
  readonly endSeen_T?: Ints;
}

function drawSeen(device: Device, draw: Draw, { batch, seqLen, keyLen, view }: Shape): Seen {
  const rows = (value: (t: number) => number): Ints => intsBy(device, batch * seqLen, value);
  const any = (): number => draw.integer(0, keyLen + 1);
  switch (view) {
    case 'causal':
      return {};
    case 'documents':
      return { firstSeen_T: rows((t) => draw.integer(0, (t % seqLen) + 1)) };
    case 'memory':
      return { keyLen, endSeen_T: rows(() => keyLen) };
    default:
      return { keyLen, firstSeen_T: rows(any), endSeen_T: rows(any) };
  }
}

/** Operands of a call, and rows of as many queries and keys. */
function drawAttention(device: Device, draw: Draw, shape: Shape) {
  const { batch, seqLen, heads: counts, headDim } = shape;
  const [heads, kvHeads] = counts;
  const seen = drawSeen(device, draw, shape);
  const { keyLen = seqLen } = seen;
  const queries = () => draw.rows(device, batch * seqLen, heads * headDim);
  const keys = () => draw.rows(device, batch * keyLen, kvHeads * headDim);
  const bias: { readonly bias?: RelativeBias } =
    shape.bias === null
      ? {}
      : { bias: { ...shape.bias, table_BH: draw.floats(device, shape.bias.buckets * heads, 2) } };
  const common = {
    batch,
    seqLen,
    heads,
    kvHeads,
    headDim,
    scale: 0.8,
    ...seen,
    ...bias,
    q: queries(),
    k: keys(),
    v: keys(),
    out: queries(),
    lse_TH: device.floats(batch * seqLen * heads),
  };
  return { common, queries, keys };
}

/**
 * A quarter of every value. A row that sees one key, or keys of one bucket, has a gradient of 0 as a difference of two products: what is left of
 * them is compared with 0.1 at least, which they are to be small beside.
 */
function quarter(device: Device, rows: Rows): Rows {
  device.write(
    rows.data,
    Array.from(device.read(rows.data), (value) => value / 4),
  );
  return rows;
}

export const attentionCases = {
  'attention.forward': opCases(shapes, (device, draw, shape) => {
    const { common } = drawAttention(device, draw, shape);
    return {
      calls: [{ op: 'attention.forward', ...common }],
      outputs: [output('out', 'forward', common.out.data), output('lse_TH', 'forward', common.lse_TH)],
    };
  }),

  'attention.backward': opCases(shapes, (device, draw, shape) => {
    const { common, queries, keys } = drawAttention(device, draw, shape);
    const [dOut, dq, dk, dv] = [quarter(device, queries()), queries(), keys(), keys()];
    const { batch, seqLen, heads, bias } = common;
    const biasSum = draw.target(device, (bias?.buckets ?? 0) * heads);
    const starts = draw.bounds(batch, 3).map((sequence) => sequence * seqLen);
    const sum = bias === undefined ? {} : { biasSum, grainStarts: intsOf(device, starts) };
    return {
      calls: [
        { op: 'attention.forward', ...common },
        { op: 'attention.backward', ...common, dOut, dq, dk, dv, ...sum },
      ],
      outputs: [
        output('dq', 'gradient', dq.data),
        output('dk', 'gradient', dk.data),
        output('dv', 'gradient', dv.data),
        targetOutput('biasSum', biasSum),
        overflowOutput(biasSum),
      ],
    };
  }),
} satisfies Partial<CaseTable>;
