/** Random cases of attention. */
import type { Device, Ints } from '@troupe/kernel-set';
import * as fc from 'fast-check';
import { opCases, output, sizes, type CaseTable } from './built-case.ts';
import { intsBy } from './device-values.ts';
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
}

const shapes: fc.Arbitrary<Shape> = fc.record({
  batch: sizes(0, 3),
  seqLen: sizes(1, 40),
  keyLen: sizes(1, 60),
  heads: HEADS,
  headDim: sizes(1, 40),
  view: fc.constantFrom<View>('causal', 'documents', 'memory', 'runs'),
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
    case 'runs':
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
  const common = {
    batch,
    seqLen,
    heads,
    kvHeads,
    headDim,
    scale: 0.8,
    ...seen,
    q: queries(),
    k: keys(),
    v: keys(),
    out: queries(),
    lse_TH: device.floats(batch * seqLen * heads),
  };
  return { common, queries, keys };
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
    const [dOut, dq, dk, dv] = [queries(), queries(), keys(), keys()];
    return {
      calls: [
        { op: 'attention.forward', ...common },
        { op: 'attention.backward', ...common, dOut, dq, dk, dv },
      ],
      outputs: [
        output('dq', 'gradient', dq.data),
        output('dk', 'gradient', dk.data),
        output('dv', 'gradient', dv.data),
      ],
    };
  }),
} satisfies Partial<CaseTable>;
