import type { KernelOp } from '@troupe/core';
import * as fc from 'fast-check';
import { openReferenceDevice } from '../reference/reference-device.ts';
import { compute, type ConformanceBody, type Test } from './body.ts';
import { allowedError, largestError } from './compare.ts';
import { Draw } from './draw.ts';
import { operationCases } from './operation-cases.ts';

/** Each operation against the float64 reference on random shapes and inputs; logs the largest error of each output kind. */
export function conformOperations(test: Test, body: ConformanceBody): void {
  for (const op of Object.keys(operationCases) as KernelOp[]) {
    test(`${body.name} ${op}: agrees with the float64 reference`, async (t) => {
      const device = await body.open();
      const oracle = openReferenceDevice({ dtype: 'f64' });
      const largest = new Map<string, number>();
      const property = fc.asyncProperty(operationCases[op], fc.nat(), async (shaped, seed) => {
        const expected = shaped.build(oracle, new Draw(seed));
        const found = shaped.build(device, new Draw(seed));
        await compute(oracle, expected.calls);
        await compute(device, found.calls);
        found.outputs.forEach(({ name, kind, read }, i) => {
          const error = largestError(read(), expected.outputs[i]!.read());
          const allowed = allowedError(kind, body.tolerance);
          if (error > allowed) throw new RangeError(`${op} ${name}: error ${error}, allowed ${allowed}`);
          largest.set(name, Math.max(largest.get(name) ?? 0, error));
        });
      });
      await fc.assert(property, { numRuns: body.numRuns ?? 40, includeErrorInReport: true });
      t.log([...largest].map(([name, error]) => `${name} ${error.toExponential(1)}`).join(', '));
      t.pass();
      await device.close();
    });
  }
}
