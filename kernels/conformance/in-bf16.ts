/** Lists of calls in bf16, made from those in f32: the same sizes and numbers, pre-activations stored as bf16. */
import type { Device, Floats, Halves, KernelCall, KernelOp, Weights } from '@troupe/kernel-set';
import { bf16Bits, bf16Value } from '../reference/bf16.ts';
import type { BuiltCase } from './built-case.ts';

/** The operations with matrix products. */
export const productOps = [
  'linear.forward',
  'linear.backward.input',
  'linear.backward.weight',
  'experts.forward',
  'experts.backward',
  'experts.backward.input',
  'experts.backward.weight',
  'head.loss',
  'head.partial',
  'head.finish',
] as const satisfies readonly KernelOp[];

/** One array for each array that it stands for, so that what one call writes another reads. */
export class Bf16Calls {
  readonly #device: Device;
  readonly #stored = new Map<Floats | Halves, Halves>();

  constructor(device: Device) {
    this.#device = device;
  }

  /** Rounded numbers of `array`. */
  halves(array: Floats | Halves): Halves {
    let halves = this.#stored.get(array);
    if (halves === undefined) {
      halves = this.#device.halves(array.length);
      this.#device.write(halves, Array.from(this.#device.read(array), bf16Bits));
      this.#stored.set(array, halves);
    }
    return halves;
  }

  /** @param storeInputs - give the products their x and their weights as bf16 storage, which must not change a bit */
  of(calls: readonly KernelCall[], storeInputs: boolean): KernelCall[] {
    const weights = (array: Weights): Weights => (storeInputs ? this.halves(array) : array);
    return calls.map((call) => {
      switch (call.op) {
        case 'linear.forward':
          return {
            ...call,
            precision: 'bf16',
            weight: weights(call.weight),
            ...(storeInputs ? { x: { ...call.x, data: this.halves(call.x.data) } } : {}),
          };
        case 'linear.backward.weight':
          return {
            ...call,
            precision: 'bf16',
            ...(storeInputs ? { x: { ...call.x, data: this.halves(call.x.data) } } : {}),
          };
        case 'head.loss':
        case 'head.partial':
        case 'head.finish':
          return {
            ...call,
            precision: 'bf16',
            head_VD: weights(call.head_VD),
            ...(storeInputs ? { x_TD: this.halves(call.x_TD) } : {}),
          };
        case 'linear.backward.input':
          return { ...call, precision: 'bf16', weight: weights(call.weight) };
        case 'experts.forward':
          return {
            ...call,
            precision: 'bf16',
            weights: weights(call.weights),
            ...(call.saved === undefined ? {} : { saved: this.halves(call.saved) }),
          };
        case 'experts.backward':
          return {
            ...call,
            precision: 'bf16',
            weights: weights(call.weights),
            saved: this.halves(call.saved),
          };
        case 'experts.backward.input':
        case 'experts.backward.weight':
          return {
            ...call,
            precision: 'bf16',
            weights: weights(call.weights),
            saved: this.halves(call.saved),
            dSaved: this.halves(call.dSaved),
          };
        default:
          return call;
      }
    });
  }
}

/** A random case of a product in bf16. */
export function builtInBf16(device: Device, built: BuiltCase, storeInputs: boolean): BuiltCase {
  const bf16 = new Bf16Calls(device);
  const calls = bf16.of(built.calls, storeInputs);
  const last = calls.at(-1);
  const stored = new Map<string, unknown>(
    last?.op === 'experts.forward'
      ? [['saved', last.saved]]
      : last?.op === 'experts.backward.input'
        ? [['dSaved', last.dSaved]]
        : [],
  );
  const values = (on: Device, halves: Halves): Float64Array => Float64Array.from(on.read(halves), bf16Value);
  return {
    calls,
    outputs: built.outputs.map((output) => {
      const halves = stored.get(output.name);
      return halves === undefined
        ? output
        : { ...output, read: (on: Device) => values(on, halves as Halves) };
    }),
  };
}
