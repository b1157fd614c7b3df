import type { Device, KernelOp, Precision } from '@troupe/kernel-set';
import * as fc from 'fast-check';
import { openReferenceDevice } from '../reference/reference-device.ts';
import { BF16_TOLERANCE, compute, DEFAULT_RUNS, type ConformanceBody, type Tolerance } from './body.ts';
import type { BuiltCase, OutputKind } from './built-case.ts';
import { allowedError, largestError } from './compare.ts';
import { Draw } from './draw.ts';
import { builtInBf16 } from './in-bf16.ts';
import { operationCases } from './operation-cases.ts';

/** How far an output of an operation was from the float64 reference, over all cases. */
export interface OutputError {
  readonly name: string;
  readonly kind: OutputKind;
  /** Largest difference as a share of the largest expected value of its array; in exact outputs a difference is Infinity. */
  readonly error: number;
}

/** What a body may differ by: products of bf16 operands are exact, but a chain of two rounds in between. */
export const toleranceOf = (op: KernelOp, body: ConformanceBody, precision: Precision): Tolerance =>
  precision === 'f32' || op.startsWith('linear.') ? body.tolerance : BF16_TOLERANCE;

/**
 * Runs random shapes and inputs of an operation, empty and ragged ones among them, on a body and on the float64 reference.
 *
 * @param seed - gives the same cases again
 * @param precision - bf16: the reference rounds the operands of products likewise; inputs are stored as f32 and as bf16 in turn
 * @returns the largest error of each output
 * @throws {Error} by fast-check, with the smallest failing case, when an error exceeds the body's tolerance
 */
export async function operationErrors(
  op: KernelOp,
  body: ConformanceBody,
  seed: number,
  precision: Precision = 'f32',
): Promise<readonly OutputError[]> {
  const device = await body.open();
  const oracle = openReferenceDevice({ dtype: 'f64' });
  const tolerance = toleranceOf(op, body, precision);
  const largest = new Map<string, OutputError>();
  const property = fc.asyncProperty(
    operationCases[op],
    fc.nat(),
    fc.boolean(),
    async (shaped, draws, stored) => {
      const build = (on: Device, storeInputs: boolean): BuiltCase => {
        const built = shaped.build(on, new Draw(draws));
        return precision === 'bf16' ? builtInBf16(on, built, storeInputs) : built;
      };
      const expected = build(oracle, false);
      const found = build(device, stored);
      await compute(oracle, expected.calls);
      await compute(device, found.calls);
      found.outputs.forEach(({ name, kind, read }, i) => {
        const error = largestError(read(device), expected.outputs[i]!.read(oracle));
        const allowed = allowedError(kind, tolerance);
        if (error > allowed) throw new RangeError(`${op} ${name}: error ${error}, allowed ${allowed}`);
        const label = name.replace(/ of source \d+$/, '');
        if (error >= (largest.get(label)?.error ?? 0)) largest.set(label, { name: label, kind, error });
      });
    },
  );
  try {
    await fc.assert(property, { seed, numRuns: body.numRuns ?? DEFAULT_RUNS, includeErrorInReport: true });
  } finally {
    await device.close();
  }
  return [...largest.values()];
}

/** For a log. */
export const listed = (errors: readonly OutputError[]): string =>
  errors.map(({ name, error }) => `${name} ${error.toExponential(1)}`).join(', ');
