import { assert } from '@troupe/core';

/** Sizes of the axes. world = pp·dp·tp; ep divides dp. */
export interface MeshShape {
  readonly pp: number;
  readonly dp: number;
  readonly tp: number;
  readonly ep: number;
}

export interface Coordinates {
  readonly pp: number;
  readonly dp: number;
  readonly tp: number;
  /** Which group of experts the rank owns. */
  readonly ep: number;
  /** Which replica of that group it is. */
  readonly edp: number;
}

/** How expert-parallel groups lie on the data axis: neighbours (default), or ranks dp/ep apart. */
export type ExpertOrder = 'contiguous' | 'strided';

/** The groups of ranks that talk to each other, each in rising order; group lists by their first rank within a plane. */
export interface MeshGroups {
  readonly tp: readonly (readonly number[])[];
  readonly dp: readonly (readonly number[])[];
  readonly pp: readonly (readonly number[])[];
  readonly ep: readonly (readonly number[])[];
  readonly edp: readonly (readonly number[])[];
}

export interface Mesh extends MeshShape {
  readonly world: number;
  /** dp / ep. */
  readonly edp: number;
  readonly groups: MeshGroups;
  readonly coordinates: (rank: number) => Coordinates;
  readonly rankOf: (place: { readonly pp: number; readonly dp: number; readonly tp: number }) => number;
  /** The data-parallel rank that owns expert group `ep` as replica `edp`. */
  readonly dpOf: (ep: number, edp: number) => number;
}

const range = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i);

/**
 * The mesh of ranks: tensor axis fastest, then data, then pipeline. Experts use ranks of the data axis.
 *
 * @see Kim et al. 2021, arXiv:2109.10465, and the groups of the code released with it
 */
export function createMesh(shape: MeshShape, order: ExpertOrder = 'contiguous'): Mesh {
  const { pp, dp, tp, ep } = shape;
  assert(
    [pp, dp, tp, ep].every((size) => Number.isSafeInteger(size) && size >= 1),
    'axes are positive whole numbers',
    { pp, dp, tp, ep },
  );
  assert(dp % ep === 0, 'ep divides dp', { dp, ep });
  const edp = dp / ep;
  const world = pp * dp * tp;
  const rankOf: Mesh['rankOf'] = (at) => (at.pp * dp + at.dp) * tp + at.tp;
  const dpOf: Mesh['dpOf'] = (e, replica) => (order === 'contiguous' ? replica * ep + e : e * edp + replica);
  const coordinates: Mesh['coordinates'] = (rank) => {
    assert(Number.isSafeInteger(rank) && rank >= 0 && rank < world, 'a rank lies in the world', {
      rank,
      world,
    });
    const d = Math.floor(rank / tp) % dp;
    const [e, replica] =
      order === 'contiguous' ? [d % ep, Math.floor(d / ep)] : [Math.floor(d / edp), d % edp];
    return { pp: Math.floor(rank / (dp * tp)), dp: d, tp: rank % tp, ep: e, edp: replica };
  };
  const planes = range(pp).flatMap((p) => range(tp).map((t) => ({ pp: p, tp: t })));
  const groups: MeshGroups = {
    tp: range(pp).flatMap((p) => range(dp).map((d) => range(tp).map((t) => rankOf({ pp: p, dp: d, tp: t })))),
    dp: planes.map((plane) => range(dp).map((d) => rankOf({ ...plane, dp: d }))),
    pp: range(dp).flatMap((d) => range(tp).map((t) => range(pp).map((p) => rankOf({ pp: p, dp: d, tp: t })))),
    ep: planes.flatMap((plane) =>
      range(edp).map((s) => range(ep).map((e) => rankOf({ ...plane, dp: dpOf(e, s) }))),
    ),
    edp: planes.flatMap((plane) =>
      range(ep).map((e) => range(edp).map((s) => rankOf({ ...plane, dp: dpOf(e, s) }))),
    ),
  };
  return { ...shape, world, edp, groups, coordinates, rankOf, dpOf };
}

/** Experts `[first, end)` of expert rank `ep`: contiguous, experts / size of the axis each. */
export function expertRange(
  experts: number,
  ep: number,
  epSize: number,
): { readonly first: number; readonly end: number } {
  assert(experts % epSize === 0, 'ep divides the number of experts', { experts, epSize });
  const each = experts / epSize;
  return { first: ep * each, end: (ep + 1) * each };
}

/** The pipeline stage that holds a layer: contiguous blocks, as even as whole layers allow, the longer ones last. */
export function pipelineStageOf(layer: number, layers: number, pp: number): number {
  assert(layer >= 0 && layer < layers, 'a layer lies in the model', { layer, layers });
  let stage = Math.floor((layer * pp) / layers);
  while (Math.floor(((stage + 1) * layers) / pp) <= layer) stage++;
  return stage;
}
