import { gradientBytes, gradientCalls, isOperandOnly, type ElementRange, type Unit } from '@troupe/spec';
import { GroupExchange } from '../layout/group-exchange.ts';
import type { Layout } from '../layout/layout.ts';
import type { ParameterGroup } from '../layout/parameter-group.ts';
import type { WorkerRank } from '../layout/rank.ts';
import { BUCKET_ROOMS, roomsFor, windowOf } from '../layout/segment.ts';
import type { ResolvedTopology } from '../resolved.ts';

/** What the states of a parameter group on a worker depend on, in elements of its flat buffer: padding is allocated too. */
export interface GroupSizes {
  readonly length: number;
  /** Of it: gradients that one kernel call finishes, in f32. */
  readonly stored: number;
  /** What the worker updates, its slice or under ZeRO 0 everything, and the elements of it with an f32 gradient. */
  readonly owned: number;
  readonly ownedStored: number;
  /** What the optimizer keeps of it and works in, floats. */
  readonly kept: number;
  /** What kernels read in bf16, of the whole and of what the worker updates. */
  readonly rounded: number;
  readonly ownedRounded: number;
  /** Room for the segments that pass through the device one after the other: of weights that are gathered, bytes; of gradients that leave. */
  readonly window: number;
  readonly buckets: number;
  /** The same of sums of an exchange's groups, at every level but the last. */
  readonly levelSums: number;
  /** Weights that a shard without readers beside it keeps of others, since its group gets them from it where an exchange has levels; bytes. */
  readonly passed: number;
  /** Sums of what every tensor peer computes alike, of which one peer's count. */
  readonly alike: number;
  /** Buckets, and sums of groups: each has a mark of overflow. */
  readonly marks: number;
  readonly levelMarks: number;
}

/** How the states of a group are kept. */
export interface StateMode {
  /** Nobody else computes. */
  readonly isAlone: boolean;
  /** Gradients leave after every microbatch (ZeRO 2). */
  readonly leaves: boolean;
  /** Weights are gathered segment by segment (ZeRO 3). */
  readonly isGathered: boolean;
  /** The optimizer works in host memory. */
  readonly isOffloaded: boolean;
}

/** Bytes of the states of parameters, by what they are. */
export interface StateBytes {
  /**
   * What kernels read, in bf16 what they would round anyway: two buffers by parity of the version, the one in use and the one being published;
   * one where a worker is alone, or the optimizer works in host memory.
   */
  readonly weights: number;
  /** Exact int64 sums, 8 bytes an element, or f32, 4 bytes, where one kernel call finishes them. */
  readonly gradients: number;
  /** The f32 weights that the optimizer updates, where kernels read others, and what is sent of them. */
  readonly master: number;
  /** What the optimizer keeps of the slices that the worker owns: Adam's two moments are 8 bytes an element. */
  readonly moments: number;
}

/** Words of a shard beside its arrays: the overflow mark of its gradients, and the squared norm. */
export const SHARD_WORDS_BYTES = 4 + 16;

/** Elements of a unit's gradient that are stored as floats: all, or none. */
function storedElements(
  topology: ResolvedTopology,
  layout: Layout,
  group: ParameterGroup,
): (unit: Unit) => number {
  const { model, train, parallel } = topology;
  const isFinished = gradientBytes(group.holders.count, layout.gradientCallsOf(group)) === 4;
  const held = train.tensorSegments / parallel.tp;
  const hasTwo = (unit: Unit): boolean =>
    unit.buffer !== null || gradientCalls(model, unit) > 1 || (unit.peerGradient === 'shares' && held > 1);
  return (unit) => (isFinished && !hasTwo(unit) ? unit.paddedSize : 0);
}

/** Elements in a range of the group's buffer that belong to certain units. */
function elementsIn(
  { flat: { units, starts } }: ParameterGroup,
  { from, to }: ElementRange,
  belongs: (unit: Unit) => boolean,
): number {
  return units.reduce((sum, unit, index) => {
    if (!belongs(unit)) return sum;
    const start = starts[index] ?? 0;
    return sum + Math.max(0, Math.min(to, start + unit.paddedSize) - Math.max(from, start));
  }, 0);
}

/** Elements of units with f32 gradients in a range of the group's buffer: none where gradients come in buckets, which add up to exact sums. */
function storedIn(
  topology: ResolvedTopology,
  layout: Layout,
  group: ParameterGroup,
  range: ElementRange,
): number {
  if (layout.hasCourier(group)) return 0;
  const stored = storedElements(topology, layout, group);
  return elementsIn(group, range, (unit) => stored(unit) > 0);
}

/** What kernels read in bf16, since they would round it anyway. */
const isRead16 =
  ({ train }: ResolvedTopology): ((unit: Unit) => boolean) =>
  (unit) =>
    train.precision === 'bf16' && isOperandOnly(unit);

/** Elements of it in a range. */
const roundedIn = (topology: ResolvedTopology, group: ParameterGroup, range: ElementRange): number =>
  elementsIn(group, range, isRead16(topology));

/** Bytes of a range of weights as kernels read them, and as they travel. */
export const heldBytes = (topology: ResolvedTopology, group: ParameterGroup, range: ElementRange): number =>
  4 * (range.to - range.from) - 2 * roundedIn(topology, group, range);
const sumOf = (lengths: readonly number[]): number => lengths.reduce((sum, each) => sum + each, 0);

/** Lengths of the sums that a shard of a group has room for where leaves come in buckets and an exchange has several levels. */
function levelSumLengths(group: ParameterGroup, worker: WorkerRank): readonly number[] {
  const { exchange } = new GroupExchange(group, worker);
  const levels = Array.from({ length: exchange.numLevels - 1 }, (_, level) => exchange.part(level + 1));
  return levels.flatMap((part) =>
    roomsFor(
      group.segments
        .map(({ from, to }) => ({ from: Math.max(from, part.from), to: Math.min(to, part.to) }))
        .filter(({ from, to }) => from < to),
      BUCKET_ROOMS,
    ),
  );
}

/** Bytes of the weights that a shard passes on, without its own. */
function passedBytes(
  topology: ResolvedTopology,
  layout: Layout,
  group: ParameterGroup,
  worker: WorkerRank,
): number {
  const { exchange } = new GroupExchange(group, worker);
  if (layout.zero === 0 || layout.isGathered(group) || exchange.numLevels === 1) return 0;
  const own = layout.ownedBy(group, worker);
  return heldBytes(topology, group, exchange.part(1)) - heldBytes(topology, group, own);
}

/** Floats that the optimizer keeps of a range of the group's buffer, and the room that its updates work in. */
export const keptOf = ({ state }: ParameterGroup, range: ElementRange): number =>
  [state.rangeIn(0, range), state.rangeIn(1, range)].reduce(
    (sum, { from, to }) => sum + to - from,
    state.workOf(range),
  );

/** The sizes of a group on a worker, as its shard has them. */
export function groupSizes(
  topology: ResolvedTopology,
  layout: Layout,
  group: ParameterGroup,
  worker: WorkerRank,
): GroupSizes {
  const { length } = group.flat;
  const own = layout.ownedBy(group, worker);
  const buckets = roomsFor(group.segments, BUCKET_ROOMS);
  const levelSums = levelSumLengths(group, worker);
  return {
    length,
    stored: storedIn(topology, layout, group, { from: 0, to: length }),
    owned: own.to - own.from,
    ownedStored: storedIn(topology, layout, group, own),
    kept: keptOf(group, own),
    rounded: roundedIn(topology, group, { from: 0, to: length }),
    ownedRounded: roundedIn(topology, group, own),
    buckets: sumOf(buckets),
    levelSums: sumOf(levelSums),
    passed: passedBytes(topology, layout, group, worker),
    alike: group.name === 'replicated' ? length : 0,
    marks: buckets.length,
    levelMarks: levelSums.length,
    window: sumOf(
      windowOf(group.segments, isRead16(topology)).map((segment) => heldBytes(topology, group, segment)),
    ),
  };
}

/** How a worker keeps a group. */
export const stateMode = (
  { parallel }: ResolvedTopology,
  layout: Layout,
  group: ParameterGroup,
): StateMode => ({
  isAlone: layout.isAlone,
  leaves: layout.hasCourier(group),
  isGathered: layout.isGathered(group),
  isOffloaded: parallel.offload === 'optimizer',
});

/** Bytes of a group's states on a worker, and of them those that lie in host memory. */
export function stateBytes(sizes: GroupSizes, mode: StateMode): StateBytes & { readonly host: number } {
  const { length, stored, owned, window, rounded, ownedRounded } = sizes;
  const { isAlone, isGathered, isOffloaded } = mode;
  const leaves = mode.leaves || isOffloaded;
  // Beside the shard, wherever that is.
  const levelSums = 8 * sizes.levelSums + 4 * sizes.levelMarks;
  const buckets = 8 * sizes.buckets + levelSums + 4 * sizes.marks;
  const own = {
    master:
      (isGathered || isOffloaded ? 4 * owned + 2 * ownedRounded : 4 * ownedRounded) +
      (isOffloaded ? sizes.passed : 0),
    moments: 4 * sizes.kept,
  };
  const sums = leaves ? 8 * owned : 4 * stored + 8 * (length - stored);
  return {
    weights: isGathered ? window : (isAlone || isOffloaded ? 1 : 2) * (4 * length - 2 * rounded),
    gradients: sums + 8 * sizes.alike + (leaves ? buckets : 0),
    ...own,
    host: isOffloaded ? sums + own.master + own.moments + levelSums : 0,
  };
}

/** Bytes of a copy of what one shard alone holds: weights and the optimizer's state, and the gradient of the open step. */
export const copyBytes = ({ owned, ownedStored, kept }: GroupSizes): number =>
  (4 + 8) * owned + 4 * kept - 4 * ownedStored;
