import type { ConformanceBody, Test } from './body.ts';
import { conformFixtures } from './conform-fixtures.ts';
import { conformOperations } from './conform-operations.ts';

/** Registers the whole conformance suite for one body. */
export function conformKernels(test: Test, body: ConformanceBody): void {
  conformOperations(test, body);
  conformFixtures(test, body);
}
