import type { Checker, TurnSeen } from './checker.ts';

/** A part of a bucket between who sent it and who adds it. */
const partOf = (owner: string, receiver: string, { step, attempt, microbatch, body }: TurnSeen): string =>
  `${owner} ${receiver} ${step}/${attempt}/${microbatch} ${Number(body['from'])}-${Number(body['to'])} ${Number(body['level'])}`;

/**
 * Memory of a bucket comes back to its owner once for each part, and only from a shard that has added it: until then it is the shard's, and
 * what its owner would write there would be in the sum.
 */
export const bucketsAnswered = (): Checker => {
  /** Parts that are added and not answered; only those of one attempt count. */
  const added = new Set<string>();
  let attempt = 0;
  return {
    name: 'buckets-answered',
    looksAt: ['turn'],
    kinds: ['gradient.add', 'gradient.taken'],
    see: (seen) => {
      if (seen.type !== 'turn' || seen.outcome !== 'handled') return null;
      if (seen.attempt > attempt) {
        attempt = seen.attempt;
        added.clear();
      }
      if (seen.attempt < attempt) return null;
      const { address, from, kind, stateBefore, step, body } = seen;
      if (kind === 'gradient.add') {
        // Otherwise it is set aside, and comes again.
        if (stateBefore === 'collecting') added.add(partOf(from, address, seen));
        return null;
      }
      if (added.delete(partOf(address, from, seen))) return null;
      const elements = `elements ${Number(body['from'])} to ${Number(body['to'])} of step ${step}`;
      return `${address} has ${elements} back, which ${from} has not added, or not again`;
    },
  };
};
