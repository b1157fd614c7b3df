import type { AttentionForwardCall, Ints, KernelCall, Rows } from '@troupe/kernel-set';
import { attentionCommon, operands, rope, type AttentionSegment } from './attention-segment.ts';
import type { DeviceBatch } from './batch.ts';
import type { CachedPass, CachedRows, CachedText } from './key-value-cache.ts';
import type { StageContext } from './stage-context.ts';
import type { SegmentHeads } from './tensor-share.ts';

/** Neighbouring texts, [first, first + texts.length) of a pass. */
interface Run {
  readonly first: number;
  readonly texts: readonly CachedText[];
}

/** The longest runs in which each text and the one behind it belong together. */
function runsOf(
  texts: readonly CachedText[],
  areTogether: (text: CachedText, next: CachedText) => boolean,
): readonly Run[] {
  const runs: { first: number; texts: CachedText[] }[] = [];
  for (const [index, text] of texts.entries()) {
    const run = runs.at(-1);
    const before = run?.texts.at(-1);
    if (run !== undefined && before !== undefined && areTogether(before, text)) run.texts.push(text);
    else runs.push({ first: index, texts: [text] });
  }
  return runs;
}

/** Rows from `first` on. */
const rowsFrom = (rows: Rows, first: number, stride: number): Rows => ({
  data: rows.data,
  offset: (rows.offset ?? 0) + first * (rows.stride ?? stride),
  stride: rows.stride ?? stride,
});

/** Queries and keys are turned by their positions in the texts, those of texts at one position together. */
function turned(ctx: StageContext, segment: AttentionSegment, { texts }: CachedPass): KernelCall[] {
  const { seqLen } = ctx.shape.config;
  const { q } = operands(segment.heads, segment.own.qkv_TW, segment.own.qk);
  const runs = runsOf(texts, (text, next) => text.position === next.position);
  return runs.flatMap(({ first, texts: run }) =>
    rope(ctx, segment, rowsFrom(q, first * seqLen, 0), false, {
      rows: run.length * seqLen,
      firstPosition: run[0]?.position ?? 0,
    }),
  );
}

/** The rows' keys and values go behind those of earlier positions. */
function kept(ctx: StageContext, segment: AttentionSegment, { cache, texts }: CachedPass): KernelCall[] {
  const { seqLen } = ctx.shape.config;
  const { data, stride, keyWidth } = cache.rows(segment.layer, segment.held);
  const { k, v } = operands(segment.heads, segment.own.qkv_TW, segment.own.qk);
  const copy = (
    { data: from, offset = 0, stride: each = 0 }: Rows,
    row: number,
    to: number,
    width: number,
  ) => ({
    op: 'copy' as const,
    from: from.subarray(offset + row * each, offset + row * each + width),
    out: data.subarray(to, to + width),
  });
  return texts.flatMap(({ slot, position, rows }, index) =>
    Array.from({ length: rows }, (_, row) => {
      const to = (slot * cache.length + position + row) * stride;
      const from = index * seqLen + row;
      // Without a norm of the keys these lie before the values, as in the cache.
      if (segment.own.qk === null) return [copy(k, from, to, stride)];
      return [copy(k, from, to, keyWidth), copy(v, from, to + keyWidth, stride - keyWidth)];
    }).flat(),
  );
}

/** Each text sees its own slot; texts in neighbouring slots are one call. */
function attended(
  ctx: StageContext,
  segment: AttentionSegment,
  batch: DeviceBatch,
  { cache, texts, endSeen_T }: CachedPass,
): KernelCall[] {
  const { widths } = segment.heads;
  return inSlots(ctx, attentionCommon(ctx, segment, batch), {
    rows: cache.rows(segment.layer, segment.held),
    keyLen: cache.length,
    texts,
    endSeen_T,
    widths,
  });
}

/** Attention of each text over the rows of its slot, from the first on. */
function inSlots(
  ctx: StageContext,
  common: Omit<AttentionForwardCall, 'op'>,
  slots: {
    readonly rows: CachedRows;
    readonly keyLen: number;
    readonly texts: readonly CachedText[];
    readonly endSeen_T: Ints;
    readonly widths: { readonly q: number; readonly out: number };
  },
): AttentionForwardCall[] {
  const { seqLen } = ctx.shape.config;
  const { rows, keyLen, texts, endSeen_T, widths } = slots;
  const { data, stride, keyWidth } = rows;
  return runsOf(texts, (text, next) => text.slot + 1 === next.slot).map(({ first, texts: run }) => {
    const [from, to] = [first * seqLen, (first + run.length) * seqLen];
    const offset = (run[0]?.slot ?? 0) * keyLen * stride;
    const { firstSeen_T, ...rest } = common;
    return {
      op: 'attention.forward',
      ...rest,
      batch: run.length,
      keyLen,
      q: rowsFrom(common.q, from, widths.q),
      k: { data, offset, stride },
      v: { data, offset: offset + keyWidth, stride },
      ...(firstSeen_T === undefined ? {} : { firstSeen_T: firstSeen_T.subarray(from, to) }),
      endSeen_T: endSeen_T.subarray(from, to),
      out: rowsFrom(common.out, from, widths.out),
      lse_TH: common.lse_TH.subarray(from * common.heads, to * common.heads),
    };
  });
}

/** Attention over a memory: over that of the microbatch, or with {@link StageContext.cache} over what is kept of each text's. */
export function attendMemory(
  ctx: StageContext,
  common: Omit<AttentionForwardCall, 'op'>,
  part: { readonly layer: number; readonly held: number; readonly heads: SegmentHeads },
): KernelCall[] {
  const { cache: pass } = ctx;
  if (pass === undefined) return [{ op: 'attention.forward', ...common }];
  const { cache, texts, sourceEnd_T } = pass;
  return inSlots(ctx, common, {
    rows: cache.memory(part.layer, part.held),
    keyLen: cache.sourceLength,
    texts,
    endSeen_T: sourceEnd_T,
    widths: part.heads.widths,
  });
}

/**
 * Queries, keys and values as their projection and norm gave them → attention's outputs. Of whole sequences each row sees those before it; with
 * {@link StageContext.cache} the kept ones of its text, too.
 */
export function attend(ctx: StageContext, segment: AttentionSegment, batch: DeviceBatch): KernelCall[] {
  const { cache } = ctx;
  if (cache !== undefined)
    return [
      ...turned(ctx, segment, cache),
      ...kept(ctx, segment, cache),
      ...attended(ctx, segment, batch, cache),
    ];
  return [
    ...rope(ctx, segment, operands(segment.heads, segment.own.qkv_TW, segment.own.qk).q, false),
    { op: 'attention.forward', ...attentionCommon(ctx, segment, batch) },
  ];
}
