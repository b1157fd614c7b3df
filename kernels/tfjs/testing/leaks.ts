import { onHost, type KernelOp } from '@troupe/kernel-set';
import type { ExecutionContext } from 'ava';
import fc from 'fast-check';
import { Draw } from '../../conformance/draw.ts';
import { operationCases } from '../../conformance/operation-cases.ts';
import { openReferenceDevice } from '../../reference/reference-device.ts';
import { openBackend, type TfjsBackendName } from '../backend.ts';
import { KernelRunner } from '../kernel-runner.ts';
import { builtTensorflowFolder } from '../tensorflow-environment.ts';

const STEPS = 200;

/** TFJS-5: 200 steps, each a list of every operation, leave TensorFlow.js with the tensors and bytes that it had. */
export async function leavesNothing(t: ExecutionContext, backend: TfjsBackendName): Promise<void> {
  const { tensors } = await openBackend({ backend, tensorflowFolder: builtTensorflowFolder() });
  const runner = new KernelRunner(tensors);
  const storage = openReferenceDevice({ dtype: 'f32' });
  const lists = (Object.keys(operationCases) as KernelOp[]).map(
    (op) => fc.sample(operationCases[op], { numRuns: 1, seed: 7 })[0]!.build(storage, new Draw(3)).calls,
  );
  const before = tensors.memory();
  for (let step = 0; step < STEPS; step++) {
    for (const calls of lists) {
      const { error } = runner.run(onHost(calls));
      if (error !== null) throw error;
    }
    if (step === 0 || step === STEPS - 1) t.deepEqual(tensors.memory(), before, `after step ${step + 1}`);
  }
  t.log(`${STEPS} steps of ${lists.length} lists`);
}
