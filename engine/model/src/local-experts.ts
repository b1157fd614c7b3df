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
import { chunksOf, type RowChunk } from './row-chunk.ts';
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
    return workOf(ctx, layer).flatMap(({ chunk, group }) => {
      const { shape, weights, rank, held } = group;
      const source = expertSource(chunk, rank);
      const y_ND = rowsOfSegment(returnedRows(chunk, rank).segments, held);
      const saved = ctx.act.training ? this.#savedRows(chunk, group, source.numRows) : null;
      return [
        ...expertsForward(shape, weights, [{ ...source, y_ND }], saved),
        ...roundedRows(ctx.shape.rowFormat, y_ND),
      ];
    });
  }

  backward(ctx: StageContext, layer: number, targets: UnitTargets): KernelCall[] {
    return workOf(ctx, layer).flatMap(({ chunk, group }) => {
      const { shape, weights, first, last, rank, held } = group;
      const source = expertSource(chunk, rank);
      const gradient = expertGradientSource(chunk, rank);
      const dx_ND = rowsOfSegment(returnedGradients(chunk, rank).segments, held);
      const saved = this.#savedRows(chunk, group, source.numRows);
      const target = (chunk.index === 0 ? targets : targets.more).span(first, last);
      return [
        ...expertsBackward(shape, weights, target, [{ ...source, ...gradient, dx_ND }], saved),
        ...roundedRows(ctx.shape.rowFormat, dx_ND),
      ];
    });
  }

  /** Made for as many rows as there can be, once. */
  #savedRows(chunk: RowChunk, { shape, first, rank, held }: LocalGroup, rows: number): Floats | Halves {
    const key = `${chunk.act.recompute ? `${rank}/${held}` : first}/${chunk.index}`;
    let saved = this.#saved.get(key);
    if (saved === undefined) {
      const length = savedLength(shape, chunk.mostRows);
      saved = shape.precision === 'bf16' ? this.#device.halves(length) : this.#device.floats(length);
      this.#saved.set(key, saved);
    }
    return saved.subarray(0, savedLength(shape, rows));
  }
}

export function ranksOf(ctx: StageContext): readonly number[] {
  return Array.from({ length: ctx.act.ranks }, (_, rank) => rank);
}

/** What the experts of a layer compute, in the order in which a gate sends it: the first chunks of all ranks first. */
const workOf = (
  ctx: StageContext,
  layer: number,
): readonly { readonly chunk: RowChunk; readonly group: LocalGroup }[] =>
  chunksOf(ctx, layer).flatMap((chunk) => groupsOf(ctx, layer).map((group) => ({ chunk, group })));

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
