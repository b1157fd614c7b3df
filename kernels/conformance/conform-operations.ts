import type { KernelOp } from '@troupe/kernel-set';
import { freshSeed, type ConformanceBody, type Test } from './body.ts';
import { operationCases } from './operation-cases.ts';
import { listed, operationErrors } from './operation-errors.ts';

/** Each operation against the float64 reference on random shapes and inputs; logs the largest error of each output. */
export function conformOperations(test: Test, body: ConformanceBody): void {
  for (const op of Object.keys(operationCases) as KernelOp[]) {
    test(`${body.name} ${op}: agrees with the float64 reference`, async (t) => {
      const seed = freshSeed();
      t.log(`seed ${seed}: ${listed(await operationErrors(op, body, seed))}`);
      t.pass();
    });
  }
}
