import {
  activations,
  GRADIENT_LEAF_LIMIT,
  hiddenInputs,
  type ExpertCall,
  type Precision,
  type OnHost,
} from '@troupe/kernel-set';
import type { ExactSum, GradientTarget, HalfRows, Rows, RowsPart } from '../on-host.ts';
import { KernelRangeError, KernelShapeError } from '../errors.ts';
import type { FloatType } from './float-type.ts';
import { isStored } from './target-kind.ts';

/** Where row r of a matrix starts: `offset + r·stride`, defaults filled in. */
export function rowsLayout(rows: Rows | HalfRows, rowLength: number): { offset: number; stride: number } {
  return { offset: rows.offset ?? 0, stride: rows.stride ?? rowLength };
}

/**
 * Checks the arguments of one call. A buffer may be longer than needed (callers hand out slices of arenas), never
 * shorter; arrays whose length *is* a dimension are compared for equality by the operations themselves.
 *
 * Every method throws {@link KernelShapeError} naming the operation, the argument, what was found and expected.
 */
export class ArgumentCheck {
  readonly #op: string;
  readonly #dtype: FloatType;

  constructor(op: string, dtype: FloatType) {
    this.#op = op;
    this.#dtype = dtype;
  }

  fail(name: string, found: string, expected: string): never {
    throw new KernelShapeError(`${this.#op}: ${name} is ${found}, expected ${expected}`, {
      op: this.#op,
      argument: name,
    });
  }

  /** A number of things: an integer ≥ 0. */
  size(name: string, value: number, least = 0): void {
    if (!Number.isSafeInteger(value) || value < least)
      this.fail(name, String(value), `an integer ≥ ${least}`);
  }

  sizes(values: Readonly<Record<string, number>>): void {
    for (const [name, value] of Object.entries(values)) this.size(name, value);
  }

  number(name: string, value: number): void {
    if (typeof value !== 'number' || Number.isNaN(value)) this.fail(name, String(value), 'a number');
  }

  /** Label smoothing, where it is asked for. */
  smoothing(smoothing: number | undefined): void {
    if (smoothing !== undefined && !(smoothing >= 0 && smoothing < 1))
      this.fail('smoothing', String(smoothing), '0 to less than 1');
  }

  oneOf(name: string, value: string, allowed: readonly string[]): void {
    if (!allowed.includes(value)) this.fail(name, value, `one of ${allowed.join(', ')}`);
  }

  equal(name: string, found: number, expected: number, meaning: string): void {
    if (found !== expected) this.fail(name, String(found), `${expected} (${meaning})`);
  }

  floats(name: string, array: unknown, length: number): void {
    this.#array(name, array, this.#dtype === 'f64' ? Float64Array : Float32Array, length);
  }

  /** bf16 storage where the call allows it, else as {@link floats}. */
  floatsOrHalves(name: string, array: unknown, length: number): void {
    if (array instanceof Uint16Array) this.#array(name, array, Uint16Array, length);
    else this.floats(name, array, length);
  }

  /** Operands of a call: bf16 storage only with precision bf16. */
  operand(name: string, array: unknown, length: number, precision: Precision | undefined): void {
    if (precision === 'bf16') this.floatsOrHalves(name, array, length);
    else this.floats(name, array, length);
  }

  /** Pre-activations: bf16 storage with precision bf16, else as {@link floats}. */
  saved(name: string, array: unknown, precision: Precision | undefined): void {
    if (precision === 'bf16') this.#array(name, array, Uint16Array, 0);
    else this.floats(name, array, 0);
  }

  precision(precision: Precision | undefined): void {
    if (precision !== undefined) this.oneOf('precision', precision, ['f32', 'bf16']);
  }

  ints(name: string, array: unknown, length: number): void {
    this.#array(name, array, Int32Array, length);
  }

  int64s(name: string, array: unknown, length: number): void {
    this.#array(name, array, BigInt64Array, length);
  }

  bytes(name: string, array: unknown, length: number): void {
    this.#array(name, array, Uint8Array, length);
  }

  sum(name: string, sum: ExactSum, length: number): void {
    if (sum === null || typeof sum !== 'object') this.fail(name, typeof sum, 'an ExactSum');
    this.int64s(`${name}.values`, sum.values, length);
    this.ints(`${name}.overflow`, sum.overflow, 1);
  }

  /** Values of an exact sum, or a stored gradient. */
  gradient(name: string, gradient: unknown): void {
    if (gradient instanceof BigInt64Array) this.int64s(name, gradient, 0);
    else this.floats(name, gradient, 0);
  }

  target(name: string, target: GradientTarget, length: number): void {
    if (target === null || typeof target !== 'object')
      this.fail(name, typeof target, 'an ExactSum or a StoredGradient');
    if (isStored(target)) this.floats(`${name}.gradient`, target.gradient, length);
    else this.int64s(`${name}.values`, target.values, length);
    this.ints(`${name}.overflow`, target.overflow, 1);
    const { leafLimit = GRADIENT_LEAF_LIMIT } = target;
    this.number(`${name}.leafLimit`, leafLimit);
    if (!(leafLimit >= 2 ** -26 && leafLimit <= GRADIENT_LEAF_LIMIT))
      this.fail(`${name}.leafLimit`, String(leafLimit), `2^-26 to ${GRADIENT_LEAF_LIMIT}`);
  }

  /** A matrix of `count` rows of `rowLength` elements inside its buffer. */
  rows(name: string, rows: Rows, count: number, rowLength: number): void {
    this.floats(`${name}.data`, rows?.data, this.rowsEnd(name, rows, count, rowLength));
  }

  /** Elements up to the end of the last row. */
  rowsEnd(name: string, rows: Rows | HalfRows, count: number, rowLength: number): number {
    if (rows === null || typeof rows !== 'object')
      this.fail(name, typeof rows, 'rows {data, offset?, stride?}');
    const { offset, stride } = rowsLayout(rows, rowLength);
    this.size(`${name}.offset`, offset);
    this.size(`${name}.stride`, stride);
    if (stride < rowLength && count > 1)
      this.fail(`${name}.stride`, String(stride), `at least the row length ${rowLength}`);
    return count === 0 ? 0 : offset + (count - 1) * stride + rowLength;
  }

  /** As {@link rows}, with bf16 storage allowed with precision bf16. */
  operandRows(
    name: string,
    rows: Rows | HalfRows,
    count: number,
    rowLength: number,
    precision: Precision | undefined,
  ): void {
    this.operand(`${name}.data`, rows?.data, this.rowsEnd(name, rows, count, rowLength), precision);
  }

  /**
   * Bounds of consecutive blocks of rows: first 0, last `rows`, never falling.
   *
   * @throws {KernelRangeError} TROUPE_KERNEL_RANGE for wrong bounds
   */
  starts(name: string, starts: Int32Array, rows: number): void {
    this.ints(name, starts, 1);
    let previous = 0;
    for (let i = 0; i < starts.length; i++) {
      const bound = starts[i]!;
      const expected =
        i === 0 ? '0' : i === starts.length - 1 ? `${rows}, the number of rows` : `${previous} … ${rows}`;
      const wrong = i === 0 ? bound !== 0 : bound < previous || bound > rows;
      if (wrong || (i === starts.length - 1 && bound !== rows)) {
        throw new KernelRangeError(`${this.#op}: ${name}[${i}] is ${bound}, expected ${expected}`, {
          op: this.#op,
          argument: name,
        });
      }
      previous = bound;
    }
  }

  parts(parts: readonly RowsPart[], dim: number): void {
    if (!Array.isArray(parts)) this.fail('parts', typeof parts, 'an array of {firstRow, rows, data}');
    parts.forEach((part, i) => {
      this.size(`parts[${i}].firstRow`, part.firstRow);
      this.size(`parts[${i}].rows`, part.rows);
      this.floats(`parts[${i}].data`, part.data, part.rows * dim);
    });
  }

  /** What all calls of the expert FFN have in common. */
  experts(call: OnHost<ExpertCall>): void {
    const { experts, dim, hidden, expertStride } = call;
    this.size('experts', experts, 1);
    this.size('dim', dim, 1);
    this.size('hidden', hidden, 1);
    this.oneOf('activation', call.activation, activations);
    this.precision(call.precision);
    this.size('expertStride', expertStride, (hiddenInputs(call.activation) + 1) * hidden * dim);
    this.operand('weights', call.weights, expertsLength(call), call.precision);
    if (!Array.isArray(call.sources)) this.fail('sources', typeof call.sources, 'an array');
    call.sources.forEach((source, i) => {
      this.size(`sources[${i}].numGrains`, source.numGrains);
      this.ints(`sources[${i}].counts_EG`, source.counts_EG, experts * source.numGrains);
      this.floats(`sources[${i}].x_UD`, source.x_UD, 0);
      if (source.slots_N !== undefined) this.ints(`sources[${i}].slots_N`, source.slots_N, 0);
    });
  }

  #array(name: string, array: unknown, type: ArrayType, length: number): void {
    if (!(array instanceof type)) {
      const found = array === null || typeof array !== 'object' ? typeof array : array.constructor.name;
      this.fail(name, found, type.name);
    }
    if (!Number.isSafeInteger(length) || array.length < length)
      this.fail(`${name}.length`, String(array.length), `at least ${length}`);
  }
}

/** Length of the weights of a group of experts: the last one needs no gap behind it. */
export function expertsLength(call: OnHost<ExpertCall>): number {
  return (
    (call.experts - 1) * call.expertStride + (hiddenInputs(call.activation) + 1) * call.hidden * call.dim
  );
}

type ArrayType =
  | Float32ArrayConstructor
  | Float64ArrayConstructor
  | Uint16ArrayConstructor
  | Int32ArrayConstructor
  | Uint8ArrayConstructor
  | BigInt64ArrayConstructor;

/** Fails unless 0 ≤ index < bound. Inlined in loops, so that only a wrong index pays for the message. */
export function rangeError(op: string, name: string, at: number, found: number, bound: number): never {
  throw new KernelRangeError(`${op}: ${name}[${at}] is ${found}, expected 0 … ${bound - 1}`, {
    op,
    argument: name,
    index: at,
    found,
    bound,
  });
}
