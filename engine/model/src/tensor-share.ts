import {
  expertSegmentsOf,
  qkvWidths,
  segmentsOf,
  wholeTensors,
  type MixerHeads,
  type TensorAxis,
  type TensorSegments,
} from '@troupe/spec';

/** What one device computes of a model whose matrices are divided along the tensor axis. */
export interface TensorShare {
  /** Devices that hold the segments together. */
  readonly peers: number;
  /** Which of them this one is. */
  readonly rank: number;
  /** Those that it holds. */
  readonly segments: TensorSegments;
  /** Of routed experts. */
  readonly expertSegments: TensorSegments;
  /** Every peer has experts that are not divided, and dispatches the tokens of some grains alone; false: each dispatches all tokens. */
  readonly dealsGrains: boolean;
}

/** Of a device that holds matrices whole. */
export const wholeShare: TensorShare = {
  peers: 1,
  rank: 0,
  segments: wholeTensors,
  expertSegments: wholeTensors,
  dealsGrains: false,
};

/** The share of tensor rank `rank`. */
export function tensorShare(axis: TensorAxis, rank: number): TensorShare {
  const { tp, expertsSliced } = axis;
  return {
    peers: tp,
    rank,
    segments: segmentsOf(axis, rank),
    expertSegments: expertSegmentsOf(axis, rank),
    dealsGrains: tp > 1 && !expertsSliced,
  };
}

/** All is computed in one piece: no sum has parts. */
export const isWhole = ({ segments }: TensorShare): boolean => segments.count === 1;

/** How many segments there are in some. */
export const numHeld = ({ from, to }: TensorSegments): number => to - from;

/** Heads of one segment. */
export interface SegmentHeads extends MixerHeads {
  readonly widths: ReturnType<typeof qkvWidths>;
  /** Several segments read the same keys and values, which are then a unit of their own. */
  readonly sharesKv: boolean;
}

/** Equally many query heads each; at least one head of keys and values. */
export function headsOfSegment(
  { heads, kvHeads, headDim, valueDim }: MixerHeads,
  count: number,
): SegmentHeads {
  const sharesKv = count > kvHeads;
  const own = { heads: heads / count, kvHeads: sharesKv ? 1 : kvHeads / count, headDim, valueDim };
  return { ...own, widths: qkvWidths(own), sharesKv };
}
