import { gradientBytes, type Unit } from '@troupe/spec';
import { GroupExchange } from '../layout/group-exchange.ts';
import type { Layout } from '../layout/layout.ts';
import type { ParameterGroup } from '../layout/parameter-group.ts';
import type { WorkerRank } from '../layout/rank.ts';
import type { ResolvedTopology } from '../resolved.ts';

/** What the states of a parameter group on a worker depend on, in elements of its flat buffer: padding is allocated too. */
export interface GroupSizes {
  readonly length: number;
  /** Of it: gradients that one kernel call finishes, in f32. */
  readonly stored: number;
  /** What the worker updates, its slice or under ZeRO 0 everything, and the elements of it with an f32 gradient. */
  readonly owned: number;
  readonly ownedStored: number;
}

/** Bytes of the states of parameters, by what they are. */
export interface StateBytes {
  /** What kernels read: two buffers by parity of the version, the one in use and the one being published; one where a worker is alone. */
  readonly weights: number;
  /** Exact int64 sums, 8 bytes an element, or f32, 4 bytes, where one kernel call finishes them. */
  readonly gradients: number;
  /** The f32 weights that the optimizer updates, where kernels read others. */
  readonly master: number;
  /** Adam's two moments of the slices that the worker owns, 8 bytes an element. */
  readonly moments: number;
}

/** Words of a shard beside its arrays: the overflow mark of its gradients, and the squared norm. */
export const SHARD_WORDS_BYTES = 4 + 16;

/** Elements of a unit's gradient that are stored as floats: all, or none. */
function storedElements(topology: ResolvedTopology, holders: number): (unit: Unit) => number {
  const { model, train } = topology;
  const isFinished = gradientBytes(holders, train.microbatches) === 4;
  return ({ id, paddedSize }) => (isFinished && !(model.tiedHead && id === 'embed') ? paddedSize : 0);
}

/** Elements of units with f32 gradients in a range of the group's buffer. */
function storedIn(topology: ResolvedTopology, group: ParameterGroup, from: number, to: number): number {
  const stored = storedElements(topology, group.holders.count);
  const { units, starts } = group.flat;
  return units.reduce((sum, unit, index) => {
    if (stored(unit) === 0) return sum;
    const start = starts[index] ?? 0;
    return sum + Math.max(0, Math.min(to, start + unit.paddedSize) - Math.max(from, start));
  }, 0);
}

/** The sizes of a group on a worker, as its shard has them. */
export function groupSizes(
  topology: ResolvedTopology,
  layout: Layout,
  group: ParameterGroup,
  worker: WorkerRank,
): GroupSizes {
  const { length } = group.flat;
  const own = layout.zero === 0 ? { from: 0, to: length } : new GroupExchange(group, worker).slice;
  return {
    length,
    stored: storedIn(topology, group, 0, length),
    owned: own.to - own.from,
    ownedStored: storedIn(topology, group, own.from, own.to),
  };
}

/** Bytes of a group's states on a worker. */
export function stateBytes(sizes: GroupSizes, { isAlone }: { readonly isAlone: boolean }): StateBytes {
  const { length, stored, owned } = sizes;
  return {
    weights: (isAlone ? 4 : 8) * length,
    gradients: 4 * stored + 8 * (length - stored),
    master: 0,
    moments: 8 * owned,
  };
}

/** Bytes of a copy of what one shard alone holds: weights and moments, 12 bytes an element, and the gradient of the open step. */
export const copyBytes = ({ owned, ownedStored }: GroupSizes): number => (12 + 8) * owned - 4 * ownedStored;
