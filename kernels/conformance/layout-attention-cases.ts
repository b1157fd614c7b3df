import type { ExactSum, Floats, Ints, KernelCall } from '@troupe/kernel-set';
import { intsBy } from './device-values.ts';
import { twoFloats, twoSums, type BuildLayout } from './layout-case.ts';
import { numGrains, pieces } from './layout-shape.ts';

/** Sequences of a batch in several calls: causal, or over runs of another stream's keys. */
const attention =
  (isCausal: boolean): BuildLayout =>
  (device, draw, layout) => {
    const [batch, seqLen, heads, kvHeads, headDim] = [numGrains(layout), layout.width, 4, 2, 24];
    const keyLen = isCausal ? seqLen : 3 + 2 * seqLen;
    const [queryWidth, keyWidth] = [heads * headDim, kvHeads * headDim];
    const [queries, keys] = [batch * seqLen * queryWidth, batch * keyLen * keyWidth];
    const [q, dOut] = [draw.floats(device, queries), draw.floats(device, queries)];
    const [k, v] = [draw.floats(device, keys), draw.floats(device, keys)];
    const [firstSeen_T, endSeen_T] = [0, 0].map(() =>
      intsBy(device, batch * seqLen, () => draw.integer(0, keyLen + 1)),
    ) as [Ints, Ints];
    const [out, outSplit] = twoFloats(device, queries);
    const [dq, dqSplit] = twoFloats(device, queries);
    const [dk, dkSplit] = twoFloats(device, keys);
    const [dv, dvSplit] = twoFloats(device, keys);
    const relative = { buckets: 10, bidirectional: draw.chance(), maxDistance: 20 };
    const bias = { ...relative, table_BH: draw.floats(device, relative.buckets * heads) };
    const isBiased = draw.chance();
    const [biasSum, biasSplit] = twoSums(device, relative.buckets * heads);
    const calls = (
      first: number,
      sequences: number,
      to: { out: Floats; dq: Floats; dk: Floats; dv: Floats; biasSum: ExactSum },
    ): KernelCall[] => {
      const query = (data: Floats) => ({ data, offset: first * seqLen * queryWidth });
      const key = (data: Floats) => ({ data, offset: first * keyLen * keyWidth });
      const own = (seen: Ints): Ints => seen.subarray(first * seqLen, (first + sequences) * seqLen);
      const shape = {
        batch: sequences,
        seqLen,
        heads,
        kvHeads,
        headDim,
        scale: headDim ** -0.5,
        q: query(q),
        k: key(k),
        v: key(v),
        ...(isBiased ? { bias } : {}),
        ...(isCausal ? {} : { keyLen, firstSeen_T: own(firstSeen_T), endSeen_T: own(endSeen_T) }),
        out: query(to.out),
        lse_TH: device.floats(sequences * seqLen * heads),
      };
      // Every sequence is a grain.
      const grainStarts = intsBy(device, sequences + 1, (grain) => grain * seqLen);
      const gradients = {
        dq: query(to.dq),
        dk: key(to.dk),
        dv: key(to.dv),
        ...(isBiased ? { biasSum: to.biasSum, grainStarts } : {}),
      };
      return [
        { op: 'attention.forward', ...shape },
        { op: 'attention.backward', ...shape, dOut: query(dOut), ...gradients },
      ];
    };
    const to = { out: outSplit, dq: dqSplit, dk: dkSplit, dv: dvSplit, biasSum: biasSplit };
    return {
      whole: calls(0, batch, { out, dq, dk, dv, biasSum }),
      split: pieces(device, layout).flatMap((p) => calls(p.firstGrain, p.numGrains, to)),
      same: [
        [out, outSplit],
        [dq, dqSplit],
        [dk, dkSplit],
        [dv, dvSplit],
        [biasSum.values, biasSplit.values],
      ],
    };
  };

/** Causal rows all at once, and a row a call over a cache that holds as many keys as the row has before it. */
const cached: BuildLayout = (device, draw, layout) => {
  const [batch, keyLen, heads, kvHeads, headDim] = [numGrains(layout), layout.width, 4, 2, 24];
  const [queryWidth, keyWidth] = [heads * headDim, kvHeads * headDim];
  const q = draw.floats(device, batch * keyLen * queryWidth);
  const common = {
    op: 'attention.forward',
    batch,
    heads,
    kvHeads,
    headDim,
    scale: headDim ** -0.5,
    k: { data: draw.floats(device, batch * keyLen * keyWidth) },
    v: { data: draw.floats(device, batch * keyLen * keyWidth) },
    lse_TH: device.floats(batch * keyLen * heads),
    bias: { table_BH: draw.floats(device, 32 * heads), buckets: 32, bidirectional: false, maxDistance: 128 },
  } as const;
  const [out, outSplit] = twoFloats(device, batch * keyLen * queryWidth);
  const row = (data: Floats, position: number) => ({
    data,
    offset: position * queryWidth,
    stride: keyLen * queryWidth,
  });
  return {
    whole: [{ ...common, seqLen: keyLen, q: { data: q }, out: { data: out } }],
    split: Array.from({ length: keyLen }, (_, position) => ({
      ...common,
      seqLen: 1,
      keyLen,
      endSeen_T: intsBy(device, batch, () => position + 1),
      q: row(q, position),
      out: row(outSplit, position),
    })),
    same: [[out, outSplit]],
  };
};

export const layoutAttentionCases: Readonly<Record<string, BuildLayout>> = {
  attention: attention(true),
  'attention over another stream': attention(false),
  'attention over a cache': cached,
};
