import { assert, type Address } from '@troupe/core';
import type { Self as AnySelf } from '@troupe/runtime';
import type { ElementRange } from '@troupe/spec';
import type { Layout } from '@troupe/topology/layout';
import type { GroupBuffers, GroupShare } from './group-buffers.ts';
import type { messages } from './messages.ts';
import { assertWithin, chunks, intersect } from './range.ts';
import type { Worker } from './worker.ts';

export type { ElementRange as Range } from '@troupe/spec';
export {
  assertWithin,
  chunks,
  chunksOf,
  intersect,
  lengthOf,
  MESSAGE_ELEMENTS,
  WEIGHT_ELEMENTS,
} from './range.ts';

/** Who sends messages of these kinds. */
type Sender<Kinds extends keyof typeof messages> = Pick<AnySelf<Pick<typeof messages, Kinds>>, 'tell'>;

/** The gradients of a parameter group on a worker. */
interface Holding {
  readonly worker: Worker;
  readonly buffers: GroupBuffers;
}

interface Sent extends ElementRange {
  readonly step: number;
  readonly attempt: number;
}

/** The parts of a range that members of the group at a level complete. */
export function partsFor(
  layout: Layout,
  { group, among }: GroupShare,
  level: number,
  range: ElementRange,
): readonly { readonly to: Address; readonly range: ElementRange }[] {
  return among.others(level).flatMap(({ worker: other, part }) => {
    const shared = intersect(range, part);
    return shared === null ? [] : [{ to: layout.shardOf(group, other), range: shared }];
  });
}

/**
 * Sends int64 leaves, or sums of them, of what lies in a range to the other members of the group at `level`, to each its part.
 *
 * GRD-1: what is sent stays untouched here until the commit that the votes of its receivers allow: nobody adds to a part that another
 * member of the group completes.
 */
export function sendLeaves(self: Sender<'gradient.add'>, holding: Holding, level: number, sent: Sent): void {
  const { worker, buffers } = holding;
  assertWithin(
    sent,
    { from: 0, to: buffers.group.flat.length },
    'gradients lie in the buffer of their group',
  );
  const { step, attempt } = sent;
  const { device } = worker;
  const { gradients } = buffers;
  const parts = partsFor(worker.job.layout, buffers, level, sent);
  if (parts.length === 0) return;
  assert(gradients.kind === 'shared', 'leaves are sent from the buffer that the shard adds in');
  const [overflow = 0] = device.read(gradients.overflow);
  for (const { to, range } of parts) {
    for (const chunk of chunks(range)) {
      const leaves = device.read(gradients.sum(chunk.from, chunk.to).values);
      self.tell(to, 'gradient.add', {
        step,
        attempt,
        body: { ...chunk, level, overflow },
        tensors: { leaves },
      });
    }
  }
}

/**
 * Finished gradients of a range of a microbatch go to those that add them up. Where they lie in the shard's own buffer that is due once,
 * behind the last microbatch: to other shards, and by word alone to the one beside. A bucket's courier is told after each.
 */
export function sendGradients(
  self: Sender<'gradient.add' | 'gradient.filled'>,
  holding: Holding,
  sent: Sent & { readonly microbatch: number; readonly isLast: boolean },
): void {
  const { worker, buffers } = holding;
  const { group, among } = buffers;
  const { layout } = worker.job;
  const { step, attempt, microbatch } = sent;
  const courier = layout.courierOf(group, worker.rank);
  if (courier !== null) {
    for (const { index, from, to } of group.segments)
      if (sent.from <= from && to <= sent.to)
        self.tell(courier, 'gradient.filled', { step, attempt, microbatch, body: { segment: index } });
    return;
  }
  if (!sent.isLast) return;
  sendLeaves(self, holding, 0, sent);
  const own = intersect(sent, among.exchange.part(1));
  if (own === null) return;
  self.tell(layout.shardOf(group, worker.rank), 'gradient.add', {
    step,
    attempt,
    body: { ...own, level: 0, overflow: 0 },
  });
}
