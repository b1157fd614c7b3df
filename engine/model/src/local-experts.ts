import { assert } from '@troupe/core';
import type { Device, Floats, Halves, KernelCall, RowsPart, Weights } from '@troupe/kernel-set';
import { eachSegment, segmentId } from '@troupe/spec';
import { expertSource, returnedGradients, returnedRows, expertGradientSource } from './dispatch.ts';
import {
  expertsBackward,
  expertsForward,
  expertShape,
  roundedRows,
  savedLength,
  type ExpertShape,
} from './experts.ts';
import type { UnitTargets } from './flat-gradients.ts';
import type { UnitWeights } from './flat-weights.ts';
import type { StageContext } from './stage-context.ts';

/** What the forward pass of one group leaves for its backward pass: of every group, or of one layer at a time that is computed again. */
type SavedRows = Map<string, Floats | Halves>;

/** Stands in for the expert actors of a {@link LocalModel}: all ranks of the group, one after the other. */
export class LocalExperts {
  readonly #device: Device;
  readonly #saved: SavedRows = new Map();

  constructor(device: Device) {
    this.#device = device;
  }

  forward(ctx: StageContext, layer: number): KernelCall[] {
    return groupsOf(ctx, layer).flatMap((group) => {
      const { shape, weights, rank, held } = group;
      const source = expertSource(ctx, layer, rank);
      const y_ND = rowsOfSegment(returnedRows(ctx, layer, rank).segments, held);
      const saved = ctx.act.training ? this.#savedRows(ctx, group, source.numRows) : null;
      return [
        ...expertsForward(shape, weights, [{ ...source, y_ND }], saved),
        ...roundedRows(ctx.shape.rowFormat, y_ND),
      ];
    });
  }

  backward(ctx: StageContext, layer: number, targets: UnitTargets): KernelCall[] {
    return groupsOf(ctx, layer).flatMap((group) => {
      const { shape, weights, first, last, rank, held } = group;
      const source = expertSource(ctx, layer, rank);
      const gradient = expertGradientSource(ctx, layer, rank);
      const dx_ND = rowsOfSegment(returnedGradients(ctx, layer, rank).segments, held);
      const saved = this.#savedRows(ctx, group, source.numRows);
      const target = targets.span(first, last);
      return [
        ...expertsBackward(shape, weights, target, [{ ...source, ...gradient, dx_ND }], saved),
        ...roundedRows(ctx.shape.rowFormat, dx_ND),
      ];
    });
  }

  /** Made for as many rows as there can be, once. */
  #savedRows(ctx: StageContext, { shape, first, rank, held }: LocalGroup, rows: number): Floats | Halves {
    const key = ctx.act.recompute ? `${rank}/${held}` : first;
    let saved = this.#saved.get(key);
    if (saved === undefined) {
      const length = savedLength(shape, ctx.act.tokens * (ctx.shape.config.moe?.topK ?? 0));
      saved = shape.precision === 'bf16' ? this.#device.halves(length) : this.#device.floats(length);
      this.#saved.set(key, saved);
    }
    return saved.subarray(0, savedLength(shape, rows));
  }
}

export function ranksOf(ctx: StageContext): readonly number[] {
  return Array.from({ length: ctx.act.ranks }, (_, rank) => rank);
}

function rowsOfSegment(rows: readonly RowsPart[], held: number): Floats {
  const part = rows[held];
  assert(part !== undefined, 'every segment of the experts has rows', { held });
  return part.data;
}

/** A segment of a rank's experts. */
interface LocalGroup {
  readonly rank: number;
  readonly held: number;
  readonly shape: ExpertShape;
  readonly weights: Weights;
  /** Ids of the units of its first and last expert. */
  readonly first: string;
  readonly last: string;
}

function groupsOf(ctx: StageContext, layer: number): readonly LocalGroup[] {
  const { precision, tensor } = ctx.act;
  const experts = (ctx.shape.config.moe?.experts ?? 0) / ctx.act.ranks;
  const weights: UnitWeights = ctx.weights;
  return ranksOf(ctx).flatMap((rank) =>
    eachSegment(tensor.expertSegments).map((segment, held) => {
      const first = segmentId(`L${layer}/expert${rank * experts}`, segment);
      const last = segmentId(`L${layer}/expert${(rank + 1) * experts - 1}`, segment);
      const shape = expertShape(ctx.shape.config, { layer, experts, precision }, segment);
      return { rank, held, shape, weights: weights.span(first, last), first, last };
    }),
  );
}
