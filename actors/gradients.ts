import type { Self } from '@troupe/runtime';
import { sliceBounds } from '@troupe/spec';
import { addresses } from './addresses.ts';
import { classPeers, type ParameterClassName } from './job.ts';
import type { Replica } from './replica.ts';

/** Elements [from, to) of a class's flat buffer. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

export function intersect(a: Range, b: Range): Range | null {
  const from = Math.max(a.from, b.from);
  const to = Math.min(a.to, b.to);
  return from < to ? { from, to } : null;
}

/** The slice whose sum each peer completes, by position among the peers. */
export function reduceRanges(length: number, numPeers: number): readonly Range[] {
  const bounds = sliceBounds(length, numPeers);
  return Array.from({ length: numPeers }, (_, peer) => ({
    from: bounds[peer] ?? 0,
    to: bounds[peer + 1] ?? 0,
  }));
}

/** Largest frame of gradients or weights, elements: 8 MiB of int64. */
const CHUNK_ELEMENTS = 1 << 20;

export function* chunks(range: Range): Generator<Range> {
  for (let from = range.from; from < range.to; from += CHUNK_ELEMENTS)
    yield { from, to: Math.min(range.to, from + CHUNK_ELEMENTS) };
}

/**
 * Sends the finished sums of `range` to the shards that complete them, a bucket a shard.
 *
 * GRD-1: the own shard adds in the same buffer (nothing travels); the others get the int64 leaves, which stay untouched here until
 * the commit that their votes allow.
 */
export function sendGradients(
  self: Self,
  replica: Replica,
  bucket: Range & {
    readonly parameterClass: ParameterClassName;
    readonly step: number;
    readonly attempt: number;
  },
): void {
  const { parameterClass, step, attempt } = bucket;
  const { gradients, layout } = replica.buffers(parameterClass);
  const peers = classPeers(replica.job, parameterClass, replica.dp);
  const ranges = reduceRanges(layout.length, peers.length);
  peers.forEach((dp, index) => {
    const part = intersect(bucket, ranges[index] as Range);
    if (part === null) return;
    const to = addresses.optimizer(parameterClass, dp);
    if (dp === replica.dp) {
      self.tell(to, 'gradient.add', { step, attempt, body: { ...part, overflow: 0 } });
      return;
    }
    for (const chunk of chunks(part)) {
      const { values, overflow } = gradients.sum(chunk.from, chunk.to);
      const body = { ...chunk, overflow: overflow[0] ?? 0 };
      self.tell(to, 'gradient.add', {
        step,
        attempt,
        body,
        tensors: [values],
      });
    }
  });
}
