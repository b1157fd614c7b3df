/** bf16 in JavaScript: rounding and widening, and the operands of a product in either precision (KER-6). */
import type { Precision } from '@troupe/kernel-set';
import type { Floats, Halves, HalfRows, Rows } from '../on-host.ts';

const single = new Float32Array(1);
const word = new Uint32Array(single.buffer);

/** Bits of the nearest bf16, ties to even; a denormal float32 becomes a zero of its sign, NaN stays NaN. */
export function bf16Bits(x: number): number {
  single[0] = x;
  const bits = word[0]!;
  const magnitude = bits & 0x7f_ff_ff_ff;
  const top = bits >>> 16;
  if (magnitude > 0x7f_80_00_00) return top | 0x40;
  if (magnitude < 0x00_80_00_00) return top & 0x80_00;
  return (bits + 0x7f_ff + (top & 1)) >>> 16;
}

/** The number that bf16 bits stand for. */
export function bf16Value(bits: number): number {
  word[0] = bits << 16;
  return single[0]!;
}

export const roundBf16 = (x: number): number => bf16Value(bf16Bits(x));

/** What products of a call do to a number before they multiply it. */
export const rounding = (precision: Precision | undefined): ((x: number) => number) =>
  precision === 'bf16' ? roundBf16 : (x) => x;

/** Numbers of either storage. */
export function widened(array: Floats | Halves): Floats {
  return array instanceof Uint16Array ? Float64Array.from(array, bf16Value) : array;
}

/** Operand of a product: bf16 storage widened, with precision bf16 everything rounded. Copies only where it must. */
export function operand(array: Floats | Halves, precision: Precision | undefined): Floats {
  if (array instanceof Uint16Array) return widened(array);
  return precision === 'bf16' ? Float64Array.from(array, roundBf16) : array;
}

export const operandRows = (rows: Rows | HalfRows, precision: Precision | undefined): Floats =>
  operand(rows.data, precision);

/** Stores numbers in the format of `out`. */
export function store(out: Floats | Halves, at: number, x: number): void {
  out[at] = out instanceof Uint16Array ? bf16Bits(x) : x;
}
