import type { Device } from '@troupe/kernel-set';
import {
  FlatWeights,
  RoundedWeights,
  type LaidWeights,
  type UnitWeights,
  type WeightSlice,
} from '@troupe/model';
import { isOperandOnly, type ElementRange } from '@troupe/spec';
import type { ParameterGroup } from '@troupe/topology/layout';
import type { Job } from './job.ts';

/** Where those who compute read the weights of a parameter group. */
export interface WeightSource {
  readonly kind: 'resident' | 'gathered';
  /** Weights of a version that has been published here. */
  at(version: number): UnitWeights;
  /** The arrays in which the shard beside writes weights of a version, cut to a range. */
  slices(range: ElementRange, version: number): readonly WeightSlice[];
  /** The next version takes the place of the one before. */
  readonly hasOneBuffer: boolean;
}

/** Room for the weights of a group, in the formats in which they are read: an own expert's calls may do anything with theirs. */
function openWeights(device: Device, job: Job, { flat, reader }: ParameterGroup): LaidWeights {
  const isOwn = reader === 'experts' && job.expert !== undefined;
  return job.precision === 'bf16' && !isOwn
    ? new RoundedWeights(device, flat, isOperandOnly)
    : new FlatWeights(flat, device.floats(flat.length));
}

/**
 * All weights of a group in the memory of one device.
 *
 * REP-1: version v lies in buffer v mod 2 and is not written between its commit and the commit of v + 2, so whoever reads
 * weights of an abandoned attempt still finds them. A worker that is alone has one buffer: nobody else can be at another version,
 * and its own attempts end before a commit.
 */
export class ResidentWeights implements WeightSource {
  readonly kind = 'resident';
  readonly #buffers: readonly [LaidWeights, LaidWeights];

  constructor(device: Device, job: Job, group: ParameterGroup, { isAlone }: { readonly isAlone: boolean }) {
    const first = openWeights(device, job, group);
    this.#buffers = [first, isAlone ? first : openWeights(device, job, group)];
  }

  at(version: number): LaidWeights {
    return this.#buffers[(version % 2) as 0 | 1];
  }

  slices({ from, to }: ElementRange, version: number): readonly WeightSlice[] {
    return this.at(version).slices(from, to);
  }

  get hasOneBuffer(): boolean {
    return this.#buffers[0] === this.#buffers[1];
  }
}
