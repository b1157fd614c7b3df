import type { Self as AnySelf } from '@troupe/runtime';
import type { ElementRange } from '@troupe/spec';
import type { GroupExchange, GroupName } from '@troupe/topology/layout';
import type { messages } from './messages.ts';
import type { Replica } from './replica.ts';

export type { ElementRange as Range } from '@troupe/spec';

/** Who sends gradients: stages, experts and shards. */
type Sender = Pick<AnySelf<Pick<typeof messages, 'gradient.add'>>, 'tell'>;

export function intersect(a: ElementRange, b: ElementRange): ElementRange | null {
  const from = Math.max(a.from, b.from);
  const to = Math.min(a.to, b.to);
  return from < to ? { from, to } : null;
}

/** Elements of a range. */
export const lengthOf = ({ from, to }: ElementRange): number => to - from;

/** Largest frame of gradients or weights, elements: 8 MiB of int64. */
const CHUNK_ELEMENTS = 1 << 20;

export function* chunks(range: ElementRange): Generator<ElementRange> {
  for (let from = range.from; from < range.to; from += CHUNK_ELEMENTS)
    yield { from, to: Math.min(range.to, from + CHUNK_ELEMENTS) };
}

/**
 * Sends int64 leaves, or sums of them, of what lies in `within` to the other members of the group at `level`, to each its part.
 *
 * GRD-1: what is sent stays untouched here until the commit that the votes of its receivers allow: nobody adds to a part that another
 * member of the group completes.
 */
export function sendLeaves(
  self: Sender,
  replica: Replica,
  among: GroupExchange,
  sent: {
    readonly group: GroupName;
    readonly level: number;
    readonly within: ElementRange;
    readonly step: number;
    readonly attempt: number;
  },
): void {
  const { level, within, step, attempt } = sent;
  const { layout } = replica.job;
  const group = replica.group(sent.group);
  const { gradients } = replica.buffers(group.name);
  for (const { worker, part } of among.others(level)) {
    const range = intersect(within, part);
    const to = layout.shardOf(group, worker);
    for (const chunk of range === null ? [] : chunks(range)) {
      const { values, overflow } = gradients.sum(chunk.from, chunk.to);
      const body = { ...chunk, level, overflow: overflow[0] ?? 0 };
      self.tell(to, 'gradient.add', { step, attempt, body, tensors: { leaves: values } });
    }
  }
}

/** Sends the finished leaves of `bucket` to those that add them up first; the own shard adds in the same buffer, so nothing travels to it. */
export function sendGradients(
  self: Sender,
  replica: Replica,
  bucket: ElementRange & {
    readonly group: GroupName;
    readonly step: number;
    readonly attempt: number;
  },
): void {
  const { group, step, attempt } = bucket;
  const among = replica.exchange(group);
  sendLeaves(self, replica, among, { group, level: 0, within: bucket, step, attempt });
  const own = intersect(bucket, among.exchange.part(1));
  if (own === null) return;
  self.tell(replica.job.layout.shardOf(replica.group(group), replica.worker), 'gradient.add', {
    step,
    attempt,
    body: { ...own, level: 0, overflow: 0 },
  });
}
