import type { Device, Floats, Halves, KernelCall } from '@troupe/kernel-set';
import { expertSource, returnedGradients, returnedRows, expertGradientSource } from './dispatch.ts';
import { expertsBackward, expertsForward, expertShape, roundedRows, savedLength } from './experts.ts';
import type { UnitTargets } from './flat-gradients.ts';
import type { UnitWeights } from './flat-weights.ts';
import type { StageContext } from './stage-context.ts';

/** What the forward pass of one (layer, rank) leaves for its backward pass. */
type SavedRows = Map<string, Floats | Halves>;

/** Stands in for the expert actors of a {@link LocalModel}: all ranks of the group, one after the other. */
export class LocalExperts {
  readonly #device: Device;
  readonly #saved: SavedRows = new Map();

  constructor(device: Device) {
    this.#device = device;
  }

  forward(ctx: StageContext, layer: number): KernelCall[] {
    return ranksOf(ctx).flatMap((rank) => {
      const { shape, weights } = groupOf(ctx, layer, rank);
      const source = expertSource(ctx, layer, rank);
      const saved = ctx.act.training ? this.#savedRows(ctx, layer, rank, source.numRows) : null;
      const y_ND = returnedRows(ctx, layer, rank).data;
      return [
        ...expertsForward(shape, weights, [{ ...source, y_ND }], saved),
        ...roundedRows(ctx.shape.rowFormat, y_ND),
      ];
    });
  }

  backward(ctx: StageContext, layer: number, targets: UnitTargets): KernelCall[] {
    return ranksOf(ctx).flatMap((rank) => {
      const { shape, weights, first, last } = groupOf(ctx, layer, rank);
      const source = expertSource(ctx, layer, rank);
      const gradient = expertGradientSource(ctx, layer, rank);
      const dx_ND = returnedGradients(ctx, layer, rank).data;
      const saved = this.#savedRows(ctx, layer, rank, source.numRows);
      const target = targets.span(first, last);
      return [
        ...expertsBackward(shape, weights, target, [{ ...source, ...gradient, dx_ND }], saved),
        ...roundedRows(ctx.shape.rowFormat, dx_ND),
      ];
    });
  }

  /** Made for as many rows as there can be, once. */
  #savedRows(ctx: StageContext, layer: number, rank: number, rows: number): Floats | Halves {
    const key = `${layer}/${rank}`;
    const { shape } = groupOf(ctx, layer, rank);
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

function groupOf(ctx: StageContext, layer: number, rank: number) {
  const perRank = (ctx.shape.config.moe?.experts ?? 0) / ctx.act.ranks;
  const first = `L${layer}/expert${rank * perRank}`;
  const last = `L${layer}/expert${(rank + 1) * perRank - 1}`;
  const weights: UnitWeights = ctx.weights;
  return {
    shape: expertShape(ctx.shape.config, layer, perRank, ctx.act.precision),
    weights: weights.span(first, last),
    first,
    last,
  };
}
