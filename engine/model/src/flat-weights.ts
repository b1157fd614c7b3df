import { assert } from '@troupe/core';
import type { Floats } from '@troupe/kernel-set';
import type { FlatLayout } from '@troupe/spec';
import { placeIn, placesOf, Views, type Places } from './flat-places.ts';

/** Weights by unit, wherever they lie. */
export interface UnitWeights {
  /** The elements of one unit, without its padding. @throws {UnknownParameterError} TROUPE_MODEL_PARAMETER */
  view(unitId: string): Floats;
  /** Tensor `index` of a unit, null when the unit has fewer. */
  part(unitId: string, index: number): Floats | null;
  /** From the first element of one unit to the last (padding included) of another: the experts of a group. */
  span(firstUnitId: string, lastUnitId: string): Floats;
}

/** Weights of several units in one buffer. */
export class FlatWeights implements UnitWeights {
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

  view(unitId: string): Floats {
    const { first, size } = placeIn(this.#places.units, unitId);
    return this.#views.at(unitId, first, size);
  }

  /** The elements of one tensor by its global name. @throws {UnknownParameterError} TROUPE_MODEL_PARAMETER */
  parameter(name: string): Floats {
    const { first, size } = placeIn(this.#places.parameters, name);
    return this.#views.at(`=${name}`, first, size);
  }

  part(unitId: string, index: number): Floats | null {
    const parameter = placeIn(this.#places.units, unitId).unit.parameters[index];
    return parameter === undefined ? null : this.parameter(parameter.name);
  }

  span(firstUnitId: string, lastUnitId: string): Floats {
    const { first } = placeIn(this.#places.units, firstUnitId);
    const last = placeIn(this.#places.units, lastUnitId);
    return this.#views.at(`${firstUnitId}…${lastUnitId}`, first, last.first + last.unit.paddedSize - first);
  }
}
