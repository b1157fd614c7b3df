import { assert } from '@troupe/core';
import type { Floats, Halves, Weights } from '@troupe/kernel-set';
import type { FlatLayout } from '@troupe/spec';
import { placeIn, placesOf, Views, type Places } from './flat-places.ts';

/** Weights by unit, wherever they lie. */
export interface UnitWeights {
  /** The elements of one unit that is held in f32, without its padding. @throws {UnknownParameterError} TROUPE_MODEL_PARAMETER */
  view(unitId: string): Floats;
  /** The same as an operand of products, which may be held in bf16 where these are. */
  operand(unitId: string): Weights;
  /** Tensor `index` of a unit that is held in f32, null when the unit has fewer. */
  part(unitId: string, index: number): Floats | null;
  /** From the first element of one unit to the last (padding included) of another: the experts of a group. */
  span(firstUnitId: string, lastUnitId: string): Weights;
}

/** Elements [from, to) of weights, which lie in one array. */
export type WeightSlice = {
  readonly from: number;
  readonly to: number;
} & ({ readonly kind: 'f32'; readonly values: Floats } | { readonly kind: 'bf16'; readonly values: Halves });

/** Weights of a whole layout, whose arrays a shard writes. */
export interface LaidWeights extends UnitWeights {
  readonly layout: FlatLayout;
  /** The arrays that hold elements [from, to), cut to that range, in order. */
  slices(from: number, to: number): readonly WeightSlice[];
}

/** Weights of several units in one buffer. */
export class FlatWeights implements LaidWeights {
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

  operand(unitId: string): Floats {
    return this.view(unitId);
  }

  /** The elements of one whole tensor by its global name. @throws {UnknownParameterError} TROUPE_MODEL_PARAMETER */
  parameter(name: string): Floats {
    const { first, size, parameter } = placeIn(this.#places.parameters, name);
    assert(parameter.place === null, 'a part of a tensor is found by its unit', { name });
    return this.#views.at(`=${name}`, first, size);
  }

  part(unitId: string, index: number): Floats | null {
    const { first, unit } = placeIn(this.#places.units, unitId);
    const parameter = unit.parameters[index];
    if (parameter === undefined) return null;
    return this.#views.at(`${unitId}=${index}`, first + parameter.offset, parameter.size);
  }

  span(firstUnitId: string, lastUnitId: string): Floats {
    const { first } = placeIn(this.#places.units, firstUnitId);
    const last = placeIn(this.#places.units, lastUnitId);
    return this.#views.at(`${firstUnitId}…${lastUnitId}`, first, last.first + last.unit.paddedSize - first);
  }

  slices(from: number, to: number): readonly WeightSlice[] {
    return from < to ? [{ kind: 'f32', from, to, values: this.data.subarray(from, to) }] : [];
  }
}
