import { assert, type ExactSum, type Floats } from '@troupe/core';
import type { FlatLayout, Parameter, Unit } from '@troupe/spec';
import { UnknownParameterError } from './errors.ts';

interface Place {
  readonly first: number;
  readonly size: number;
}

interface Places {
  readonly units: ReadonlyMap<string, Place & { readonly unit: Unit }>;
  readonly parameters: ReadonlyMap<string, Place & { readonly parameter: Parameter }>;
}

const placesByLayout = new WeakMap<FlatLayout, Places>();

/** Where units and parameters lie, worked out once for all buffers of a layout. */
function placesOf(layout: FlatLayout): Places {
  const known = placesByLayout.get(layout);
  if (known !== undefined) return known;
  const units = new Map<string, Place & { unit: Unit }>();
  const parameters = new Map<string, Place & { parameter: Parameter }>();
  for (const [index, unit] of layout.units.entries()) {
    const first = layout.starts[index];
    assert(first !== undefined, 'a layout has one start per unit');
    units.set(unit.id, { first, size: unit.size, unit });
    for (const parameter of unit.parameters) {
      parameters.set(parameter.name, { first: first + parameter.offset, size: parameter.size, parameter });
    }
  }
  const places = { units, parameters };
  placesByLayout.set(layout, places);
  return places;
}

function placeIn<P extends Place>(places: ReadonlyMap<string, P>, name: string): P {
  const place = places.get(name);
  if (place === undefined)
    throw new UnknownParameterError(name, `it holds ${[...places.keys()].slice(0, 8).join(', ')} …`);
  return place;
}

/** Views by name, made once: asking again in every step allocates nothing. */
class Views<View> {
  readonly #made = new Map<string, View>();
  readonly #make: (first: number, last: number) => View;

  constructor(make: (first: number, last: number) => View) {
    this.#make = make;
  }

  at(name: string, first: number, size: number): View {
    let view = this.#made.get(name);
    if (view === undefined) {
      view = this.#make(first, first + size);
      this.#made.set(name, view);
    }
    return view;
  }
}

/** Weights of several units in one buffer. */
export class FlatWeights {
  readonly layout: FlatLayout;
  readonly data: Floats;
  readonly #places: Places;
  readonly #views: Views<Floats>;

  constructor(layout: FlatLayout, data: Floats) {
    assert(data.length === layout.length, 'a flat buffer has the length of its layout', {
      found: data.length,
      expected: layout.length,
    });
    this.layout = layout;
    this.data = data;
    this.#places = placesOf(layout);
    this.#views = new Views((first, last) => data.subarray(first, last));
  }

  /**
   * The elements of one unit, without its padding.
   *
   * @throws {UnknownParameterError} TROUPE_MODEL_PARAMETER
   */
  view(unitId: string): Floats {
    const { first, size } = placeIn(this.#places.units, unitId);
    return this.#views.at(unitId, first, size);
  }

  /** The elements of one tensor by its global name. @throws {UnknownParameterError} TROUPE_MODEL_PARAMETER */
  parameter(name: string): Floats {
    const { first, size } = placeIn(this.#places.parameters, name);
    return this.#views.at(`=${name}`, first, size);
  }

  /** Tensor `index` of a unit, null when the unit has fewer. */
  part(unitId: string, index: number): Floats | null {
    const parameter = placeIn(this.#places.units, unitId).unit.parameters[index];
    return parameter === undefined ? null : this.parameter(parameter.name);
  }

  /** From the first element of one unit to the last (padding included) of another: the experts of a group. */
  span(firstUnitId: string, lastUnitId: string): Floats {
    const { first } = placeIn(this.#places.units, firstUnitId);
    const last = placeIn(this.#places.units, lastUnitId);
    return this.#views.at(`${firstUnitId}…${lastUnitId}`, first, last.first + last.unit.paddedSize - first);
  }
}

/** Gradient sums in the layout of the weights; one overflow flag for all of them. */
export class FlatSums {
  readonly layout: FlatLayout;
  readonly values: BigInt64Array;
  readonly overflow: Int32Array;
  readonly #places: Places;
  readonly #views: Views<ExactSum>;

  /** @param overflow - one element, set to 1 by kernels when any leaf was NaN or out of range */
  constructor(layout: FlatLayout, values: BigInt64Array, overflow: Int32Array) {
    assert(values.length === layout.length, 'a flat buffer has the length of its layout', {
      found: values.length,
      expected: layout.length,
    });
    assert(overflow.length === 1, 'an exact sum has one overflow flag', { found: overflow.length });
    this.layout = layout;
    this.values = values;
    this.overflow = overflow;
    this.#places = placesOf(layout);
    this.#views = new Views((first, last) => ({ values: values.subarray(first, last), overflow }));
  }

  /** All of it, as kernels take it. */
  get whole(): ExactSum {
    return this.#views.at('', 0, this.layout.length);
  }

  /** The sum of one unit, without its padding. @throws {UnknownParameterError} TROUPE_MODEL_PARAMETER */
  view(unitId: string): ExactSum {
    const { first, size } = placeIn(this.#places.units, unitId);
    return this.#views.at(unitId, first, size);
  }

  /** The sum of one tensor by its global name. @throws {UnknownParameterError} TROUPE_MODEL_PARAMETER */
  parameter(name: string): ExactSum {
    const { first, size } = placeIn(this.#places.parameters, name);
    return this.#views.at(`=${name}`, first, size);
  }

  /** Tensor `index` of a unit, null when the unit has fewer. */
  part(unitId: string, index: number): ExactSum | null {
    const parameter = placeIn(this.#places.units, unitId).unit.parameters[index];
    return parameter === undefined ? null : this.parameter(parameter.name);
  }

  /** As {@link FlatWeights.span}. */
  span(firstUnitId: string, lastUnitId: string): ExactSum {
    const { first } = placeIn(this.#places.units, firstUnitId);
    const last = placeIn(this.#places.units, lastUnitId);
    return this.#views.at(`${firstUnitId}…${lastUnitId}`, first, last.first + last.unit.paddedSize - first);
  }
}
