import { assert } from '@troupe/core';
import type { Floats, GradientTarget, Weights } from '@troupe/kernel-set';
import type { FlatLayout } from '@troupe/spec';
import { UnknownParameterError } from './errors.ts';
import type { UnitTargets } from './flat-gradients.ts';
import type { UnitWeights } from './flat-weights.ts';

interface Buffer<Views> {
  readonly layout: Pick<FlatLayout, 'units'>;
  readonly views: Views;
}

/** Which buffer a unit lies in. */
class Owners<Views> {
  readonly #byUnit: ReadonlyMap<string, Views>;

  constructor(buffers: readonly Buffer<Views>[]) {
    this.#byUnit = new Map(
      buffers.flatMap(({ layout, views }) => layout.units.map(({ id }) => [id, views] as const)),
    );
    const numUnits = buffers.reduce((sum, { layout }) => sum + layout.units.length, 0);
    assert(this.#byUnit.size === numUnits, 'a unit lies in one buffer', { numUnits });
  }

  of(unitId: string): Views {
    const views = this.#byUnit.get(unitId);
    if (views === undefined)
      throw new UnknownParameterError(
        unitId,
        `it holds ${[...this.#byUnit.keys()].slice(0, 8).join(', ')} …`,
      );
    return views;
  }
}

/** Weights whose units lie in several buffers, each in one. */
export class JoinedWeights implements UnitWeights {
  readonly #owners: Owners<UnitWeights>;

  constructor(buffers: readonly Buffer<UnitWeights>[]) {
    this.#owners = new Owners(buffers);
  }

  view(unitId: string): Floats {
    return this.#owners.of(unitId).view(unitId);
  }

  operand(unitId: string): Weights {
    return this.#owners.of(unitId).operand(unitId);
  }

  part(unitId: string, index: number): Floats | null {
    return this.#owners.of(unitId).part(unitId, index);
  }

  span(firstUnitId: string, lastUnitId: string): Weights {
    return this.#owners.of(firstUnitId).span(firstUnitId, lastUnitId);
  }
}

/** Gradients whose units lie in several buffers, each in one. */
export class JoinedTargets implements UnitTargets {
  readonly more: UnitTargets;
  readonly #owners: Owners<UnitTargets>;

  constructor(buffers: readonly Buffer<UnitTargets>[], isMore = false) {
    this.#owners = new Owners(buffers);
    const more = (): readonly Buffer<UnitTargets>[] =>
      buffers.map(({ layout, views }) => ({ layout, views: views.more }));
    this.more = isMore ? this : new JoinedTargets(more(), true);
  }

  view(unitId: string): GradientTarget {
    return this.#owners.of(unitId).view(unitId);
  }

  part(unitId: string, index: number): GradientTarget | null {
    return this.#owners.of(unitId).part(unitId, index);
  }

  span(firstUnitId: string, lastUnitId: string): GradientTarget {
    return this.#owners.of(firstUnitId).span(firstUnitId, lastUnitId);
  }
}
