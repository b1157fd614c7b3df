import { assert } from '@troupe/core';
import type { Floats, KernelCall } from '@troupe/kernel-set';

/** What every tensor peer sends to all others before any of them can go on. */
export interface PeerExchange {
  /** What this device has made; it stays as it is until the peers have read it. */
  readonly shares: readonly Floats[];
  /** What to do with the shares of all peers, by rank, its own among them. */
  readonly next: (sharesOf: readonly (readonly Floats[])[]) => readonly KernelCall[];
}

/** A list of kernel calls, or an exchange among the tensor peers. */
export type Step = { readonly calls: readonly KernelCall[] } | { readonly exchange: PeerExchange };

/** Steps with neighbouring lists of calls put together. */
export function joined(steps: readonly Step[]): readonly Step[] {
  const out: Step[] = [];
  for (const step of steps) {
    const last = out.at(-1);
    if (last !== undefined && 'calls' in last && 'calls' in step)
      out[out.length - 1] = { calls: [...last.calls, ...step.calls] };
    else out.push(step);
  }
  return out;
}

/** The one list of a device without tensor peers. */
export function callsOf(steps: readonly Step[]): KernelCall[] {
  return steps.flatMap((step) => {
    assert('calls' in step, 'a device without tensor peers exchanges nothing');
    return step.calls;
  });
}
