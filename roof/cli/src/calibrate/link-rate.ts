import { loadTopology } from '@troupe/topology';
import type { Calibration } from 'troupe';
import { profiledRun, type CalibratedJob } from './profiled-run.ts';
import { simulatedStepSeconds } from './simulated-step.ts';

/** Bytes a millisecond that are looked through: from 20 MB/s to 100 GB/s. */
const LEAST = 2e4;
const MOST = 1e8;
/** Halvings of that range: what is found is known to a thousandth. */
const HALVINGS = 14;

/** A replica on every core, which exchange gradients and weights; null: the batch does not divide so. */
function replicated({ file, set }: CalibratedJob, cores: number): readonly string[] | null {
  const { batch, grains } = loadTopology(file, { set }).train;
  if (batch % cores !== 0 || grains % cores !== 0) return null;
  const devices = Array.from({ length: cores }, (_, core) => `"cpu:${core}"`).join(', ');
  return [
    ...set,
    'train.microbatches=1',
    `parallel={dp: ${cores}, ep: 1, zero: 1}`,
    `machines=[{host: localhost, devices: [${devices}]}]`,
    'eval.every=0',
  ];
}

/**
 * What links between the workers of this machine carry: the rate at which a simulated step of one replica a core takes as long as the real
 * one. Copies, checksums and sockets share the cores with kernels, so it is less than what a bench of the wire alone sees.
 *
 * @returns bytes a millisecond; null where replicas do not divide the batch, or the real step is not slower than any rate explains
 */
export async function linkRate(
  job: CalibratedJob,
  calibration: Calibration,
  run: { readonly cores: number; readonly numSteps: number },
): Promise<number | null> {
  const set = replicated(job, run.cores);
  if (set === null) return null;
  const { stepMs } = await profiledRun(job.file, set, run.numSteps);
  const topology = loadTopology(job.file, { set });
  const takes = async (insideBytesPerMs: number): Promise<number> =>
    1000 * (await simulatedStepSeconds(topology, { ...calibration, insideBytesPerMs }));
  if ((await takes(MOST)) >= stepMs) return null;
  let [slow, fast] = [LEAST, MOST];
  for (let halving = 0; halving < HALVINGS; halving++) {
    const middle = Math.sqrt(slow * fast);
    if ((await takes(middle)) > stepMs) slow = middle;
    else fast = middle;
  }
  return fast;
}
