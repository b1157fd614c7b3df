import { assert } from '@troupe/core';
import type { Device, Floats, Weights } from '@troupe/kernel-set';
import type { ElementRange, FlatLayout, Unit } from '@troupe/spec';
import { placeIn, placesOf, Views, type Places } from './flat-places.ts';
import type { LaidWeights, WeightSlice } from './flat-weights.ts';

/** Arrays for a range of a layout: units of one kind that lie side by side share one. */
export class WeightArrays {
  readonly #runs: readonly WeightSlice[];

  /** @param range - default: all of the layout */
  constructor(
    device: Device,
    layout: FlatLayout,
    isRounded: (unit: Unit) => boolean,
    range: ElementRange = { from: 0, to: layout.length },
  ) {
    this.#runs = runsOf(layout, isRounded).flatMap(({ kind, ...run }): readonly WeightSlice[] => {
      const [from, to] = [Math.max(run.from, range.from), Math.min(run.to, range.to)];
      if (from >= to) return [];
      return kind === 'bf16'
        ? [{ kind, from, to, values: device.halves(to - from) }]
        : [{ kind, from, to, values: device.floats(to - from) }];
    });
  }

  /** The arrays that hold elements [from, to), cut to that range, in order. */
  slices(from: number, to: number): readonly WeightSlice[] {
    return this.#runs.flatMap((run) => {
      const [first, last] = [Math.max(from, run.from), Math.min(to, run.to)];
      return first >= last ? [] : [cut(run, first, last)];
    });
  }

  /** Elements of one array. */
  one(from: number, to: number): WeightSlice {
    const run = this.#runs.find((each) => each.from <= from && to <= each.to);
    assert(run !== undefined, 'weights of one view are of one kind', { from, to });
    return cut(run, from, to);
  }
}

/** Weights of several units, those that products round anyway (`isOperandOnly`) in bf16: half the bytes, and the same bits. */
export class RoundedWeights implements LaidWeights {
  readonly layout: FlatLayout;
  readonly #places: Places;
  readonly #arrays: WeightArrays;
  readonly #views: Views<WeightSlice>;

  constructor(layout: FlatLayout, arrays: WeightArrays) {
    this.layout = layout;
    this.#places = placesOf(layout);
    this.#arrays = arrays;
    this.#views = new Views((first, last) => this.#arrays.one(first, last));
  }

  view(unitId: string): Floats {
    const { first, size } = placeIn(this.#places.units, unitId);
    return this.#floats(unitId, first, size);
  }

  operand(unitId: string): Weights {
    const { first, size } = placeIn(this.#places.units, unitId);
    return this.#views.at(unitId, first, size).values;
  }

  part(unitId: string, index: number): Floats | null {
    const parameter = placeIn(this.#places.units, unitId).unit.parameters[index];
    if (parameter === undefined) return null;
    const { first, size } = placeIn(this.#places.parameters, parameter.name);
    return this.#floats(`=${parameter.name}`, first, size);
  }

  span(firstUnitId: string, lastUnitId: string): Weights {
    const { first } = placeIn(this.#places.units, firstUnitId);
    const last = placeIn(this.#places.units, lastUnitId);
    const size = last.first + last.unit.paddedSize - first;
    return this.#views.at(`${firstUnitId}…${lastUnitId}`, first, size).values;
  }

  slices(from: number, to: number): readonly WeightSlice[] {
    return this.#arrays.slices(from, to);
  }

  #floats(name: string, first: number, size: number): Floats {
    const found = this.#views.at(name, first, size);
    assert(found.kind === 'f32', 'what is no operand of products alone is held in f32', { name });
    return found.values;
  }
}

/** The elements of a slice that lie in [from, to). */
function cut(slice: WeightSlice, from: number, to: number): WeightSlice {
  const [first, end] = [from - slice.from, to - slice.from];
  return slice.kind === 'f32'
    ? { kind: slice.kind, from, to, values: slice.values.subarray(first, end) }
    : { kind: slice.kind, from, to, values: slice.values.subarray(first, end) };
}

interface Run {
  readonly kind: WeightSlice['kind'];
  readonly from: number;
  readonly to: number;
}

/** How the elements of a layout are held: units of one kind that lie side by side are one run. */
function runsOf(layout: FlatLayout, isRounded: (unit: Unit) => boolean): readonly Run[] {
  const runs: Run[] = [];
  layout.units.forEach((unit, index) => {
    const from = layout.starts[index] ?? 0;
    const [kind, to] = [isRounded(unit) ? ('bf16' as const) : ('f32' as const), from + unit.paddedSize];
    const last = runs.at(-1);
    if (last?.kind === kind) runs[runs.length - 1] = { ...last, to };
    else runs.push({ kind, from, to });
  });
  return runs;
}
