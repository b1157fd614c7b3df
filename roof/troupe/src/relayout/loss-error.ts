import type { LossEnd, ResolvedTopology } from '@troupe/topology';
import { MachineLostError } from '../errors.ts';
import type { Whereabouts } from '../run/processes.ts';

/** A machine that did not come back. */
export type LostMachine = Whereabouts & { readonly machine: number };

/** `gpu-1, gpu-2 were lost and did not come back within 300 s (…); …`. */
export function lostForGood(
  { machines, recovery }: ResolvedTopology,
  lost: readonly LostMachine[],
  { reason, text }: { readonly reason: LossEnd; readonly text: string },
): MachineLostError {
  const hosts = lost.map(({ machine }) => machines[machine]?.host ?? '');
  const heard = lost.flatMap((each) => each.reason ?? []);
  const why = heard.length === 0 ? '' : ` (${heard.join('; ')})`;
  const were = hosts.length === 1 ? 'was' : 'were';
  return new MachineLostError(
    `${hosts.join(', ')} ${were} lost and did not come back within ${recovery.waitSeconds} s${why}; ${text}`,
    reason,
    hosts,
  );
}
