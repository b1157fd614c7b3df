import { assert } from '@troupe/core';
import {
  leafLimit,
  type Device,
  type ExactSum,
  type Floats,
  type GradientTarget,
  type Int64s,
  type Ints,
  type KernelCall,
} from '@troupe/kernel-set';
import { wholeShare, type TensorShare } from './tensor-share.ts';
import { gradientCalls, type FlatLayout, type ModelConfig, type Unit } from '@troupe/spec';
import { placeIn, placesOf, Views, type Places } from './flat-places.ts';

/**
 * How the gradient of a unit comes together in a step: `stored`: one kernel call has all its leaves and leaves floats (4 bytes an element).
 * `begun`: this device's calls have them all and the first one begins the sum (8 bytes). `added`: leaves come from other devices or in
 * calls of unknown number, so the sum is reset before a step (8 bytes, and the time of writing them once more).
 */
export type GradientKind = 'stored' | 'begun' | 'added';

/** How a model's gradients come together. */
export interface GradientPlan {
  readonly kindOf: (unit: Unit) => GradientKind;
  /** Leaves that each element of the unit gets in a step, from all microbatches and devices. */
  readonly leavesOf: (unit: Unit) => number;
  /** The flag that calls set; default: one of its own. */
  readonly overflow?: Ints;
}

/**
 * A leaf for each grain of the whole batch from each of its {@link gradientCalls}; what several segments of the tensor axis share has one from each
 * of them at most.
 */
export function leavesOf(
  config: ModelConfig,
  grains: number,
  { segments }: TensorShare = wholeShare,
): GradientPlan['leavesOf'] {
  return (unit) =>
    grains * (unit.peerGradient === 'shares' ? segments.count : 1) * gradientCalls(config, unit);
}

/** Elements [from, to) of a gradient, which lie in one array: floats where it is stored, else an exact sum. */
export type GradientSlice = {
  readonly from: number;
  readonly to: number;
} & (
  | { readonly kind: 'stored'; readonly values: Floats }
  | { readonly kind: 'begun' | 'added'; readonly values: Int64s }
);

/** The elements of a slice that lie in [from, to). */
function cut(slice: GradientSlice, from: number, to: number): GradientSlice {
  const [first, end] = [from - slice.from, to - slice.from];
  return slice.kind === 'stored'
    ? { kind: slice.kind, from, to, values: slice.values.subarray(first, end) }
    : { kind: slice.kind, from, to, values: slice.values.subarray(first, end) };
}

/** Where arrays come from: a device, or memory that was there before. */
export type GradientMemory = Pick<Device, 'floats' | 'ints' | 'int64s'>;

/** Room for what slices like these hold. */
export const roomFor = (
  device: GradientMemory,
  slices: readonly Omit<GradientSlice, 'values'>[],
): GradientSlice[] =>
  slices.map(({ kind, from, to }) =>
    kind === 'stored'
      ? { kind, from, to, values: device.floats(to - from) }
      : { kind, from, to, values: device.int64s(to - from) },
  );

/** Where the kernel calls of one microbatch put the gradients of units, wherever that is. */
export interface UnitTargets {
  /** Targets that add to what an earlier call of the same microbatch has begun. */
  readonly more: UnitTargets;
  /** One unit, without its padding. @throws {UnknownParameterError} TROUPE_MODEL_PARAMETER */
  view(unitId: string): GradientTarget;
  /** Tensor `index` of a unit, null when the unit has fewer. */
  part(unitId: string, index: number): GradientTarget | null;
  /** As {@link UnitWeights.span}. */
  span(firstUnitId: string, lastUnitId: string): GradientTarget;
}

/** The same in one buffer. */
export class GradientTargets implements UnitTargets {
  readonly more: GradientTargets;
  readonly #places: Places;
  readonly #views: Views<GradientTarget>;

  constructor(
    layout: FlatLayout,
    make: (first: number, last: number) => GradientTarget,
    more?: GradientTargets,
  ) {
    this.more = more ?? this;
    this.#places = placesOf(layout);
    this.#views = new Views(make);
  }

  view(unitId: string): GradientTarget {
    const { first, size } = placeIn(this.#places.units, unitId);
    return this.#views.at(unitId, first, size);
  }

  part(unitId: string, index: number): GradientTarget | null {
    const { first, unit } = placeIn(this.#places.units, unitId);
    const parameter = unit.parameters[index];
    if (parameter === undefined) return null;
    return this.#views.at(`${unitId}=${index}`, first + parameter.offset, parameter.size);
  }

  span(firstUnitId: string, lastUnitId: string): GradientTarget {
    const { first } = placeIn(this.#places.units, firstUnitId);
    const last = placeIn(this.#places.units, lastUnitId);
    return this.#views.at(`${firstUnitId}…${lastUnitId}`, first, last.first + last.unit.paddedSize - first);
  }
}

/** Gradients in the layout of the weights, one overflow flag for all of them. Padding is zero and stays so. */
export class FlatGradients {
  readonly layout: FlatLayout;
  /** One element, set to 1 by kernels when any leaf was NaN or out of range. */
  readonly overflow: Ints;
  readonly #first: GradientTargets;
  /** Units of one kind that lie side by side. */
  readonly #runs: readonly GradientSlice[];
  readonly #leavesOf: GradientPlan['leavesOf'];
  readonly #none: Int64s;

  constructor(device: GradientMemory, layout: FlatLayout, { kindOf, leavesOf, overflow }: GradientPlan) {
    this.layout = layout;
    this.#leavesOf = leavesOf;
    this.overflow = overflow ?? device.ints(1);
    this.#none = device.int64s(0);
    this.#runs = roomFor(device, gradientRuns(layout, kindOf));
    const more = new GradientTargets(layout, (from, to) => this.#target(from, to, false));
    this.#first = new GradientTargets(layout, (from, to) => this.#target(from, to, true), more);
  }

  /** Targets of a pass of a step: `order` counts the passes that give these gradients, in the order in which their calls run. */
  of(order: number): GradientTargets {
    return order === 0 ? this.#first : this.#first.more;
  }

  /** The arrays that hold elements [from, to), cut to that range, in order. */
  slices(from: number, to: number): readonly GradientSlice[] {
    return this.#runs.flatMap((run) => {
      const [first, last] = [Math.max(from, run.from), Math.min(to, run.to)];
      return first >= last ? [] : [cut(run, first, last)];
    });
  }

  /** Elements [from, to), which must be of units whose leaves other devices add to. */
  sum(from: number, to: number): ExactSum {
    const [slice] = this.slices(from, to);
    const isWhole = slice !== undefined && slice.from === from && slice.to === to;
    assert(isWhole && slice.kind !== 'stored', 'what several devices add up is an exact sum', {
      from,
      to,
    });
    return { values: slice.values, overflow: this.overflow };
  }

  /** What makes a step (or another attempt at it) start from nothing; begun and stored gradients need their flag alone. */
  reset(): readonly KernelCall[] {
    const { overflow } = this;
    const sums = this.#runs.flatMap((run) => (run.kind === 'added' ? [run.values] : []));
    return [this.#none, ...sums].map((values) => ({ op: 'sum.reset', sum: { values, overflow } }));
  }

  #target(from: number, to: number, isFirst: boolean): GradientTarget {
    const { overflow } = this;
    const run = this.#runs.find((each) => each.from <= from && to <= each.to);
    assert(run !== undefined, 'units of one target are of one kind', { from, to });
    const part = cut(run, from, to);
    const range = { overflow, leafLimit: this.#limit(from, to) };
    if (part.kind === 'stored') return { gradient: part.values, ...range };
    return { values: part.values, ...range, begin: isFirst && part.kind === 'begun' };
  }

  /** Of the leaves of all units that lie in [from, to). */
  #limit(from: number, to: number): number {
    const { units, starts } = this.layout;
    const within = units.filter(
      ({ paddedSize }, index) => (starts[index] ?? 0) < to && (starts[index] ?? 0) + paddedSize > from,
    );
    return leafLimit(Math.max(1, ...within.map(this.#leavesOf)));
  }
}

/** Units of one kind that lie side by side. */
export function gradientRuns(
  layout: FlatLayout,
  kindOf: (unit: Unit) => GradientKind,
): Omit<GradientSlice, 'values'>[] {
  const runs: { kind: GradientKind; from: number; to: number }[] = [];
  layout.units.forEach((unit, index) => {
    const from = layout.starts[index] ?? 0;
    const [kind, to] = [kindOf(unit), from + unit.paddedSize];
    const last = runs.at(-1);
    if (last?.kind === kind) last.to = to;
    else runs.push({ kind, from, to });
  });
  return runs;
}
