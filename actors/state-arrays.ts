import { assert, type HostFloats } from '@troupe/core';
import type { Device, Floats, Int64s, KernelCall } from '@troupe/kernel-set';
import { updateCalls, type OptimizerSettings, type UpdateRates } from '@troupe/model';
import type { OptimizerState, StateArray } from '@troupe/spec';
import type { ParameterGroup } from '@troupe/topology/layout';
import { lengthOf, type Range } from './gradients.ts';
import type { ShardState } from './shard-state.ts';

/** Elements of a shard's slice that are updated: where their weights and their gradient lie. */
export interface UpdatedSlice extends Range {
  readonly weights: Floats;
  /** May be `weights`. */
  readonly out: Floats;
  readonly gradient: Int64s | Floats;
}

/** What an optimizer keeps of a slice of a group, on the device of a shard or of its copy: two arrays, as `OptimizerState` describes them. */
export class StateArrays {
  readonly #device: Device;
  readonly #state: OptimizerState;
  readonly #arrays: readonly [Floats, Floats];
  /** Updates of tensors that are not divided work here, one after the other. */
  readonly #work: Floats;
  /** Where the arrays begin in those of the group. */
  readonly #starts: readonly [number, number];

  constructor(device: Device, { state }: ParameterGroup, owns: Range) {
    const [first, second] = [state.rangeIn(0, owns), state.rangeIn(1, owns)];
    this.#device = device;
    this.#state = state;
    this.#arrays = [device.floats(lengthOf(first)), device.floats(lengthOf(second))];
    this.#work = device.floats(state.workOf(owns));
    this.#starts = [first.from, second.from];
  }

  reset(): void {
    for (const array of this.#arrays) this.#device.zero(array);
  }

  /** What is kept of a range. */
  read(range: Range): Omit<ShardState, 'weights'> {
    return {
      first: this.#device.read(this.#part(0, range)),
      second: this.#device.read(this.#part(1, range)),
    };
  }

  write(range: Range, { first, second }: Omit<ShardState, 'weights'>): void {
    this.#put(0, range, first);
    this.#put(1, range, second);
  }

  /** The calls that update the elements of a slice. */
  updates(slice: UpdatedSlice, settings: OptimizerSettings, rates: UpdateRates): readonly KernelCall[] {
    const { from: start, to: end, weights, out, gradient } = slice;
    return this.#state.within({ from: start, to: end }).flatMap((part) => {
      const [first, last] = [part.from - start, part.to - start];
      const arrays = {
        weights: weights.subarray(first, last),
        out: out.subarray(first, last),
        gradient: gradient.subarray(first, last),
        first: this.#part(0, part),
        second: this.#part(1, part),
        work: this.#work,
      };
      return updateCalls(part, arrays, settings, rates);
    });
  }

  #part(array: StateArray, range: Range): Floats {
    const { from, to } = this.#state.rangeIn(array, range);
    const start = this.#starts[array];
    return this.#arrays[array].subarray(from - start, to - start);
  }

  #put(array: StateArray, range: Range, values: HostFloats): void {
    const part = this.#part(array, range);
    assert(values.length === part.length, 'weights have their state', { ...range, array });
    if (part.length > 0) this.#device.write(part, values);
  }
}
