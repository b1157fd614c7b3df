import { usual, type Mixture } from './mixture.ts';

const encoder = { ...usual, model: 'encoder' } as const;
const relative = { ...usual, model: 'relative' } as const;
const translating = { ...usual, model: 'translating' } as const;

/** Every axis, every schedule, and stages with a part of one stack, of both, of the bound between them. */
export const encoderMixtures: readonly Mixture[] = [
  { ...encoder, pp: 2, microbatches: 2 },
  { ...encoder, dp: 2, ep: 2, rows: 'chunks', zero: 1 },
  { ...encoder, pp: 3, dp: 2, ep: 2, microbatches: 3, zero: 2, precision: 'bf16' },
  { ...encoder, tp: 2, segments: 4, microbatches: 2, recompute: 'layer' },
  { ...encoder, pp: 2, tp: 2, dp: 2, ep: 2, segments: 4, sliced: false, microbatches: 2 },
  { ...encoder, pp: 2, pipeline: 'interleaved', microbatches: 2, zero: 3, dp: 3, ep: 3 },
  { ...translating, pp: 3, microbatches: 6, pipeline: 'zero-bubble', recompute: 'layer' },
  { ...translating, pp: 3, tp: 2, segments: 4, microbatches: 3 },
  { ...translating, pp: 2, dp: 2, ep: 2, microbatches: 3, pipeline: 'gpipe', offload: 'optimizer' },
  { ...translating, pp: 3, dp: 2, pipeline: 'interleaved', microbatches: 3, precision: 'bf16' },
  { ...translating, dp: 6, ep: 3, apart: 2, microbatches: 3, experts: 'by hand' },
  { ...translating, dp: 3, ep: 3, zero: 3, experts: 'balanced', microbatches: 2, rows: 'chunks' },
  { ...translating, pp: 2, pipeline: 'zero-bubble', microbatches: 3, dp: 2, zero: 2 },
  { ...relative, pp: 2, dp: 2, ep: 2, microbatches: 3, pipeline: 'zero-bubble', precision: 'bf16' },
  { ...relative, tp: 2, segments: 4, microbatches: 2, recompute: 'layer' },
  { ...relative, dp: 3, ep: 3, zero: 3, microbatches: 2 },
  { ...relative, pp: 2, dp: 2, tp: 2, segments: 4, zero: 2, microbatches: 3 },
  { ...translating, tp: 2, segments: 4, dp: 2, microbatches: 2 },
];
