import { assert } from '@troupe/core';
import type { Floats, KernelCall } from '@troupe/kernel-set';
import type { ElementRange } from '@troupe/spec';
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
  /** Each peer has all segments of some elements, by rank, and `of` is of its own; these come side by side. Default: each has some segments of all. */
  readonly dealt?: readonly ElementRange[] | undefined;
}

const added = ({ base, out }: Pick<SegmentSum, 'base' | 'out'>, parts: readonly Floats[]): KernelCall => ({
  op: 'partials.add',
  parts,
  out,
  ...(base === undefined ? {} : { base }),
});

const of = (all: Floats, { from, to }: ElementRange): Floats => all.subarray(from, to);

/** What this device sends its peers of a sum. */
function shareOf({ of: { share } }: SegmentSum): Floats {
  assert(share !== null, 'what peers add up has a share');
  return share;
}

/** The sum of the shares of all peers, or these side by side. */
function joinedShares({ base, out, dealt }: SegmentSum, shares: readonly Floats[]): readonly KernelCall[] {
  if (dealt === undefined) return [added({ ...(base === undefined ? {} : { base }), out }, shares)];
  return shares.flatMap((share, rank) => {
    const run = dealt[rank];
    assert(run !== undefined, 'every peer has its elements', { rank });
    if (run.from === run.to) return [];
    return [added({ ...(base === undefined ? {} : { base: of(base, run) }), out: of(out, run) }, [share])];
  });
}

/**
 * Each sum's out = base + all segments' parts, as one tree of neighbours; in one exchange, in order.
 *
 * A device holds a whole subtree, so it sends one number an element, and how many devices there are does not show.
 */
export function sumsOver(ctx: StageContext, sums: readonly SegmentSum[]): Step[] {
  if (ctx.act.tensor.peers === 1) return [{ calls: sums.map((sum) => added(sum, sum.of.partials)) }];
  const shares = sums.map(shareOf);
  return [
    {
      calls: sums.flatMap(({ of: { partials } }, index) => {
        const out = shares[index];
        return out === undefined || out.length === 0 || partials[0] === out ? [] : [added({ out }, partials)];
      }),
    },
    {
      exchange: {
        shares,
        next: (sharesOf) =>
          sums.flatMap((sum, index) =>
            joinedShares(
              sum,
              sharesOf.flatMap((all) => all[index] ?? []),
            ),
          ),
      },
    },
  ];
}

export const sumOver = (ctx: StageContext, sum: SegmentSum): Step[] => sumsOver(ctx, [sum]);
