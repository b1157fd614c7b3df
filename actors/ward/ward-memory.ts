import { assert, type HostFloats } from '@troupe/core';
import type { Device, Floats, KernelCall } from '@troupe/kernel-set';
import { roomFor, type GradientSlice, type OptimizerSettings, type UpdateRates } from '@troupe/model';
import type { ParameterGroup } from '@troupe/topology/layout';
import { assertWithin, type Range } from '../gradients.ts';
import type { ShardState } from '../shard-state.ts';
import { StateArrays } from '../state-arrays.ts';

/**
 * Memory for a plain copy of another shard's slice: weights, the optimizer's state, and the finished gradient of the open step.
 *
 * Nothing here asks what an element means. Sums come as the shard holds them (int64, or f32 where one kernel call finishes them) instead of
 * rounded to f32: so an update makes the same calls with the same operands and equal bits need no proof; rounding first would save 4 bytes an
 * element and cost a kernel and a buffer.
 */
export class WardMemory {
  readonly owns: Range;
  readonly #device: Device;
  readonly #weights: Floats;
  readonly #state: StateArrays;
  readonly #sums: readonly GradientSlice[];

  /** @param sums - how the gradients of the group come together */
  constructor(
    device: Device,
    { group, owns }: { readonly group: ParameterGroup; readonly owns: Range },
    sums: readonly Omit<GradientSlice, 'values'>[],
  ) {
    const size = owns.to - owns.from;
    this.owns = owns;
    this.#device = device;
    this.#weights = device.floats(size);
    this.#state = new StateArrays(device, group, owns);
    const within = sums.flatMap(({ kind, from, to }) => {
      const [first, end] = [Math.max(from, owns.from), Math.min(to, owns.to)];
      return first < end ? [{ kind, from: first, to: end }] : [];
    });
    this.#sums = roomFor(device, within);
  }

  keepState(from: number, { weights, ...state }: ShardState): void {
    const at = from - this.owns.from;
    const range = { from, to: from + weights.length };
    assertWithin(range, this.owns, 'a shard sends its buddy what it owns');
    this.#device.write(this.#weights.subarray(at), weights);
    this.#state.write(range, state);
  }

  /** Takes a part of the finished sum that begins at `from`. */
  keepSum(from: number, kind: 'int64' | 'f32', values: HostFloats | BigInt64Array): void {
    const kept = this.#sums.find((each) => each.from <= from && from < each.to);
    assert(kept, 'a shard sends its buddy what it owns', { from });
    assert((kept.kind === 'stored') === (kind === 'f32'), 'a copy adds up as its shard does (BUD-2)', {
      from,
      kind,
    });
    assertWithin({ from, to: from + values.length }, kept, 'a shard sends its sums one by one');
    this.#device.write(kept.values.subarray(from - kept.from), values);
  }

  /** Weights and state of `range`, for the shard's next life. */
  state(range: Range): ShardState {
    return { weights: this.#device.read(this.#part(range)), ...this.#state.read(range) };
  }

  /** BUD-2: the calls that the shard makes for the same decision. */
  updates(settings: OptimizerSettings, rates: UpdateRates): readonly KernelCall[] {
    return this.#sums.flatMap(({ from, to, values }) => {
      const weights = this.#part({ from, to });
      return this.#state.updates({ from, to, weights, out: weights, gradient: values }, settings, rates);
    });
  }

  #part({ from, to }: Range): Floats {
    return this.#weights.subarray(from - this.owns.from, to - this.owns.from);
  }
}
