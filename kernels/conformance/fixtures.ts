/** Inputs and results of PyTorch for one operation of test/fixtures/ops.safetensors. */
import {
  GRADIENT_QUANTUM_LOG2,
  type Device,
  type ExactSum,
  type Floats,
  type Int64s,
  type Ints,
} from '@troupe/kernel-set';
import type { HostFloats } from '@troupe/core';
import { compute } from './body.ts';
import { floatsOf, int64sOf, intsBy, intsOf } from './device-values.ts';
import { readFixture, type FixtureTensor } from './safetensors.ts';

let tensors: Map<string, FixtureTensor> | undefined;

export class Fixture {
  readonly #name: string;
  readonly #device: Device;

  constructor(name: string, device: Device) {
    this.#name = name;
    this.#device = device;
  }

  tensor(tensor: string): FixtureTensor {
    tensors ??= readFixture('ops.safetensors');
    const found = tensors.get(`${this.#name}.${tensor}`);
    if (found === undefined) throw new TypeError(`no tensor ${this.#name}.${tensor} in ops.safetensors`);
    return found;
  }

  values(tensor: string): Float64Array {
    return this.tensor(tensor).values;
  }

  /** On the device, in its dtype. */
  floats(tensor: string): Floats {
    return this.put(this.values(tensor));
  }

  ints(tensor: string): Ints {
    return intsOf(this.#device, this.values(tensor));
  }

  /** [B, heads, S, D] of PyTorch as our rows [B·S, heads·D]. */
  heads(tensor: string): Float64Array {
    const [batch = 0, heads = 0, seqLen = 0, dim = 0] = this.tensor(tensor).shape;
    const from = this.values(tensor);
    const rows = new Float64Array(from.length);
    for (let b = 0; b < batch; b++)
      for (let h = 0; h < heads; h++)
        for (let s = 0; s < seqLen; s++)
          for (let d = 0; d < dim; d++) {
            rows[((b * seqLen + s) * heads + h) * dim + d] = from[((b * heads + h) * seqLen + s) * dim + d]!;
          }
    return rows;
  }

  put(values: ArrayLike<number>): Floats {
    return floatsOf(this.#device, values);
  }

  emptySum(length: number): ExactSum {
    return { values: this.#device.int64s(length), overflow: this.#device.ints(1) };
  }

  /** A sum as the fixed point of given gradients. */
  sumOf(values: ArrayLike<number>): Int64s {
    const fixed = Array.from(values, (value) => BigInt(Math.round(value * 2 ** -GRADIENT_QUANTUM_LOG2)));
    return int64sOf(this.#device, fixed);
  }

  /** Row bounds of `numGrains` grains as equal as they can be. */
  grains(rows: number, numGrains = 3): Ints {
    return intsBy(this.#device, numGrains + 1, (grain) => Math.round((grain * rows) / numGrains));
  }

  async read({ values, overflow }: ExactSum): Promise<HostFloats> {
    if (this.#device.read(overflow)[0] !== 0)
      throw new RangeError(`${this.#name}: a gradient leaf overflowed`);
    const out = this.#device.floats(values.length);
    await compute(this.#device, [{ op: 'sum.read', sum: values, out }]);
    return this.#device.read(out);
  }
}
