import { assert } from '@troupe/core';
import type { Floats, KernelCall } from '@troupe/kernel-set';
import type { StageContext } from './stage-context.ts';
import type { Step } from './step.ts';
import type { SumBuffers } from './sum-buffers.ts';

/** A sum over all segments of the tensor axis. */
export interface SegmentSum {
  /** Holds the parts of this device's segments. */
  readonly of: SumBuffers;
  /** Default: none. Enters once, after the sum. */
  readonly base?: Floats;
  /** May be `base`. */
  readonly out: Floats;
}

const added = ({ base, out }: Pick<SegmentSum, 'base' | 'out'>, parts: readonly Floats[]): KernelCall => ({
  op: 'partials.add',
  parts,
  out,
  ...(base === undefined ? {} : { base }),
});

/**
 * Each sum's out = base + all segments' parts, as one tree of neighbours; in one exchange, in order.
 *
 * A device holds a whole subtree, so it sends one number an element, and how many devices there are does not show.
 */
export function sumsOver(ctx: StageContext, sums: readonly SegmentSum[]): Step[] {
  if (ctx.act.tensor.peers === 1) return [{ calls: sums.map((sum) => added(sum, sum.of.partials)) }];
  const shares = sums.map(({ of: { share } }) => {
    assert(share !== null, 'what peers add up has a share');
    return share;
  });
  return [
    {
      calls: sums.flatMap(({ of: { partials } }, index) => {
        const out = shares[index];
        return out === undefined || partials[0] === out ? [] : [added({ out }, partials)];
      }),
    },
    {
      exchange: {
        shares,
        next: (sharesOf) =>
          sums.map((sum, index) =>
            added(
              sum,
              sharesOf.flatMap((all) => all[index] ?? []),
            ),
          ),
      },
    },
  ];
}

export const sumOver = (ctx: StageContext, sum: SegmentSum): Step[] => sumsOver(ctx, [sum]);
