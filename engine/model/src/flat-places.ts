import { assert } from '@troupe/core';
import type { FlatLayout, Parameter, Unit } from '@troupe/spec';
import { UnknownParameterError } from './errors.ts';

interface Place {
  readonly first: number;
  readonly size: number;
}

export interface Places {
  readonly units: ReadonlyMap<string, Place & { readonly unit: Unit }>;
  readonly parameters: ReadonlyMap<string, Place & { readonly parameter: Parameter }>;
}

const placesByLayout = new WeakMap<FlatLayout, Places>();

/** Where units and parameters lie, worked out once for all buffers of a layout. */
export function placesOf(layout: FlatLayout): Places {
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

export function placeIn<P extends Place>(places: ReadonlyMap<string, P>, name: string): P {
  const place = places.get(name);
  if (place === undefined)
    throw new UnknownParameterError(name, `it holds ${[...places.keys()].slice(0, 8).join(', ')} …`);
  return place;
}

/** Views by name, made once: asking again in every step allocates nothing. */
export class Views<View> {
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
