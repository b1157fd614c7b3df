import type { Int64s, Ints } from '@troupe/kernel-set';
import type { Self as AnySelf } from '@troupe/runtime';
import type { ElementRange } from '@troupe/spec';
import { chunks, intersect, partsFor } from './gradients.ts';
import type { GroupShare } from './group-buffers.ts';
import type { messages } from './messages.ts';
import type { Worker } from './worker.ts';

type Sender = Pick<AnySelf<Pick<typeof messages, 'gradient.add'>>, 'tell' | 'isBeside'>;

/** Where a bucket stands: what its parts say of themselves. */
interface Place {
  readonly step: number;
  readonly attempt: number;
  readonly microbatch: number;
}

/**
 * Sends a bucket to all members of the group at a level, to each its part; the shard beside gets the memory itself.
 *
 * @returns how many parts: each of them is answered by `gradient.taken`
 */
export function sendBucket(
  self: Sender,
  { worker, share }: { readonly worker: Worker; readonly share: GroupShare },
  level: number,
  bucket: ElementRange & { readonly values: Int64s; readonly overflow: Ints } & Place,
): number {
  const { device, job } = worker;
  const { group, rank, among } = share;
  const { step, attempt, microbatch, values } = bucket;
  const [overflow = 0] = device.read(bucket.overflow);
  const own = intersect(bucket, among.exchange.part(level + 1));
  const beside = job.layout.shardOf(group, rank);
  const parts = partsFor(job.layout, share, level, bucket);
  let numParts = 0;
  for (const { to, range } of own === null ? parts : [{ to: beside, range: own }, ...parts]) {
    const isBeside = self.isBeside(to);
    for (const body of isBeside ? [range] : chunks(range)) {
      const part = values.subarray(body.from - bucket.from, body.to - bucket.from);
      self.tell(to, 'gradient.add', {
        step,
        attempt,
        microbatch,
        body: { from: body.from, to: body.to, level, overflow },
        tensors: { leaves: isBeside ? part : device.read(part) },
      });
      numParts++;
    }
  }
  return numParts;
}
