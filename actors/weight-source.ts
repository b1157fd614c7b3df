import type { Device } from '@troupe/kernel-set';
import { FlatWeights, RoundedWeights, WeightArrays, type LaidWeights, type UnitWeights } from '@troupe/model';
import { isOperandOnly, type Unit } from '@troupe/spec';
import type { ParameterGroup } from '@troupe/topology/layout';
import type { Job } from './job.ts';

/** Where those who compute read the weights of a parameter group. */
export interface WeightSource {
  readonly kind: 'resident' | 'gathered';
  /** Weights of a version that has been published here. */
  at(version: number): UnitWeights;
}

/** What kernels of this group read in bf16: an own expert's calls may do anything with theirs. */
export const roundsIn =
  (job: Job, { reader }: ParameterGroup): ((unit: Unit) => boolean) =>
  (unit) =>
    job.precision === 'bf16' && !(reader === 'experts' && job.expert !== undefined) && isOperandOnly(unit);

/** Room for the weights of a group, in the formats in which they are read. */
function openWeights(device: Device, job: Job, group: ParameterGroup): LaidWeights {
  const [isRounded, { flat }] = [roundsIn(job, group), group];
  return flat.units.some(isRounded)
    ? new RoundedWeights(flat, new WeightArrays(device, flat, isRounded))
    : new FlatWeights(flat, device.floats(flat.length));
}

/**
 * All weights of a group in the memory of one device.
 *
 * REP-1: version v lies in buffer v mod 2 and is not written between its commit and the commit of v + 2, so whoever reads
 * weights of an abandoned attempt still finds them. A worker that is alone has one buffer, and one whose shards are on a host: nobody
 * else is at another version, or no pass is open when the next one comes, and attempts end before a commit.
 */
export class ResidentWeights implements WeightSource {
  readonly kind = 'resident';
  readonly #buffers: readonly [LaidWeights, LaidWeights];

  /** @param options - `hasOne`: one buffer for all versions */
  constructor(device: Device, job: Job, group: ParameterGroup, { hasOne }: { readonly hasOne: boolean }) {
    const first = openWeights(device, job, group);
    this.#buffers = [first, hasOne ? first : openWeights(device, job, group)];
  }

  at(version: number): LaidWeights {
    return this.#buffers[(version % 2) as 0 | 1];
  }
}
