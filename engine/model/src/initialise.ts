import { philoxKey } from '@troupe/core';
import type { FillCall, Floats, KernelCall } from '@troupe/kernel-set';
import { blocksOfPart, type ParameterInit, type Unit } from '@troupe/spec';

const scaleOf = (init: ParameterInit): number => (init.kind === 'constant' ? init.value : init.std);

/**
 * Draws elements [unitFirstElement, unitFirstElement + out.length) of a unit.
 *
 * Every element has its own counter, so a shard may draw its slice alone, and a part of a tensor what the tensor has there: the model is
 * the same in every layout. Padding behind the unit is left as it is: zero in fresh storage.
 *
 * @param unitFirstElement - 0-based element of the unit that `out[0]` is; the slice may reach into the padding
 */
export function initialise(unit: Unit, seed: number, out: Floats, unitFirstElement = 0): KernelCall[] {
  const last = unitFirstElement + out.length;
  return unit.parameters.flatMap((parameter) => {
    const { name, offset, init } = parameter;
    const range = { from: unitFirstElement - offset, to: last - offset };
    return blocksOfPart(parameter, range).map(({ at, firstIndex, rows, rowLength, rowStride }): FillCall => {
      const first = offset + at - unitFirstElement;
      return {
        op: 'fill',
        out: out.subarray(first, first + rows * rowLength),
        kind: init.kind,
        scale: scaleOf(init),
        key: philoxKey(seed, `init/${name}`),
        firstIndex,
        ...(rows === 1 ? {} : { rowLength, rowStride }),
      };
    });
  });
}
