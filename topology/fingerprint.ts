import { createHash } from 'node:crypto';
import { adafactorRates, biasCorrections } from '@troupe/spec';
import type { ResolvedTopology } from './resolved.ts';
import { learningRate } from './schedule.ts';

/** Steps whose numbers are looked at: all of a short run, of a long one as many at equal distances and the last. */
const STEPS_LOOKED_AT = 4096;

function* stepsOf({ train }: ResolvedTopology): Generator<number> {
  const stride = Math.ceil(train.steps / STEPS_LOOKED_AT);
  for (let step = 1; step < train.steps; step += stride) yield step;
  yield train.steps;
}

/** Numbers of a run that JavaScript computes outside its kernels, of which the standard fixes no last bit: powers are in all of them. */
function* engineNumbers(topology: ResolvedTopology): Generator<number> {
  const { train, model } = topology;
  const { betas } = train.optimizer;
  for (const step of stepsOf(topology)) {
    yield learningRate(train, step);
    const { correction1, correction2 } = biasCorrections(betas[0], betas[1], step);
    const { beta2, relativeStep } = adafactorRates(step);
    yield* [correction1, correction2, beta2, relativeStep];
  }
  for (let pair = 0; 2 * pair < model.headDim; pair++) yield model.rope.theta ** ((2 * pair) / model.headDim);
}

/**
 * Whether two machines compute the same numbers of a run outside its kernels: a hash of its learning rates, bias corrections and frequencies, to the
 * last bit. Another version of V8 may give another one; a run whose processes differ in it would not be one run.
 *
 * @returns 64 hexadecimal digits
 */
export function numbersFingerprint(topology: ResolvedTopology): string {
  const numbers = Float64Array.from(engineNumbers(topology));
  return createHash('sha256').update(new Uint8Array(numbers.buffer)).digest('hex');
}
