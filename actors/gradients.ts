import { InvariantError } from '@troupe/core';
import type { Self as AnySelf } from '@troupe/runtime';
import type { ElementRange } from '@troupe/spec';
import type { GroupBuffers } from './group-buffers.ts';
import type { messages } from './messages.ts';
import type { Worker } from './worker.ts';

export type { ElementRange as Range } from '@troupe/spec';

/** Who sends gradients: stages, experts and shards. */
type Sender = Pick<AnySelf<Pick<typeof messages, 'gradient.add'>>, 'tell'>;

export function intersect(a: ElementRange, b: ElementRange): ElementRange | null {
  const from = Math.max(a.from, b.from);
  const to = Math.min(a.to, b.to);
  return from < to ? { from, to } : null;
}

/** A range that does not lie within another one is a mistake in who holds what. */
export function assertWithin({ from, to }: ElementRange, whole: ElementRange, rule: string): void {
  const isWithin = whole.from <= from && from <= to && to <= whole.to;
  if (!isWithin) throw new InvariantError(rule, { from, to, within: `${whole.from} to ${whole.to}` });
}

/** Elements of a range. */
export const lengthOf = ({ from, to }: ElementRange): number => to - from;

/** Largest frame of gradients or weights, elements: 8 MiB of int64. */
export const MESSAGE_ELEMENTS = 1 << 20;

export function* chunks(range: ElementRange): Generator<ElementRange> {
  for (let from = range.from; from < range.to; from += MESSAGE_ELEMENTS)
    yield { from, to: Math.min(range.to, from + MESSAGE_ELEMENTS) };
}

/** A slice in messages; an empty one in an empty message, so that its receiver is not left waiting. */
export const chunksOf = (range: ElementRange): Iterable<ElementRange> =>
  range.from < range.to ? chunks(range) : [{ from: range.from, to: range.to }];

/** The gradients of a parameter group on a worker. */
interface Holding {
  readonly worker: Worker;
  readonly buffers: GroupBuffers;
}

interface Sent extends ElementRange {
  readonly step: number;
  readonly attempt: number;
}

/**
 * Sends int64 leaves, or sums of them, of what lies in a range to the other members of the group at `level`, to each its part.
 *
 * GRD-1: what is sent stays untouched here until the commit that the votes of its receivers allow: nobody adds to a part that another
 * member of the group completes.
 */
export function sendLeaves(self: Sender, { worker, buffers }: Holding, level: number, sent: Sent): void {
  assertWithin(
    sent,
    { from: 0, to: buffers.group.flat.length },
    'gradients lie in the buffer of their group',
  );
  const { step, attempt } = sent;
  const { device, job } = worker;
  const { layout } = job;
  const { group, gradients, among } = buffers;
  const parts = among.others(level).flatMap(({ worker: other, part }) => {
    const range = intersect(sent, part);
    return range === null ? [] : [{ to: layout.shardOf(group, other), range }];
  });
  if (parts.length === 0) return;
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

/** Sends finished leaves to those that add them up first; the own shard adds in the same buffer, so nothing travels to it. */
export function sendGradients(self: Sender, holding: Holding, sent: Sent): void {
  const { worker, buffers } = holding;
  const { group, among } = buffers;
  sendLeaves(self, holding, 0, sent);
  const own = intersect(sent, among.exchange.part(1));
  if (own === null) return;
  self.tell(worker.job.layout.shardOf(group, worker.rank), 'gradient.add', {
    step: sent.step,
    attempt: sent.attempt,
    body: { ...own, level: 0, overflow: 0 },
  });
}
