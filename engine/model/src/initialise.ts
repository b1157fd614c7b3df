import { philoxKey } from '@troupe/core';
import type { FillCall, Floats, KernelCall } from '@troupe/kernel-set';
import type { ParameterInit, Unit } from '@troupe/spec';

const scaleOf = (init: ParameterInit): number => (init.kind === 'constant' ? init.value : init.std);

/**
 * Draws elements [unitFirstElement, unitFirstElement + out.length) of a unit.
 *
 * Every element has its own counter, so a shard may draw its slice alone and the model is the same in every layout.
 * Padding behind the unit is left as it is: zero in fresh storage.
 *
 * @param unitFirstElement - 0-based element of the unit that `out[0]` is; the slice may reach into the padding
 */
export function initialise(unit: Unit, seed: number, out: Floats, unitFirstElement = 0): KernelCall[] {
  const calls: FillCall[] = [];
  for (const { name, offset, size, init } of unit.parameters) {
    const first = Math.max(offset, unitFirstElement);
    const last = Math.min(offset + size, unitFirstElement + out.length);
    if (first >= last) continue;
    calls.push({
      op: 'fill',
      out: out.subarray(first - unitFirstElement, last - unitFirstElement),
      kind: init.kind,
      scale: scaleOf(init),
      key: philoxKey(seed, `init/${name}`),
      firstIndex: first - offset,
    });
  }
  return calls;
}
