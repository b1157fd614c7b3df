import type { ConformanceBody, Test } from './body.ts';
import { conformBf16 } from './conform-bf16.ts';
import { conformBias } from './conform-bias.ts';
import { conformThreshold } from './conform-threshold.ts';
import { conformCapacity } from './conform-capacity.ts';
import { conformChoice } from './conform-choice.ts';
import { conformErrors } from './conform-errors.ts';
import { conformFixtures } from './conform-fixtures.ts';
import { conformHead } from './conform-head.ts';
import { conformLayout } from './conform-layout.ts';
import { conformOperations } from './conform-operations.ts';
import { conformOptimizers } from './conform-optimizers.ts';
import { conformParts } from './conform-parts.ts';
import { conformQueue } from './conform-queue.ts';
import { conformSums } from './conform-sums.ts';
import { conformTargets } from './conform-targets.ts';

/** Registers the whole conformance suite for one body. */
export function conformKernels(test: Test, body: ConformanceBody): void {
  conformOperations(test, body);
  conformFixtures(test, body);
  conformErrors(test, body);
  conformLayout(test, body);
  conformTargets(test, body);
  conformParts(test, body);
  conformHead(test, body);
  conformBias(test, body);
  conformThreshold(test, body);
  conformCapacity(test, body);
  conformOptimizers(test, body);
  conformSums(test, body);
  conformChoice(test, body);
  conformQueue(test, body);
  conformBf16(test, body);
}
