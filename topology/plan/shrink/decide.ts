import { counted } from '@troupe/core';
import { replaced, shrunk, takeSpares, type Fleet, type Lineup } from './fleet.ts';
import { withoutMachines } from './losses.ts';

/** Why a run ends that has lost machines for good; all reasons that there are. */
export const lossEnds = [
  'waited',
  'minority',
  'half',
  'no-state',
  'no-spare',
  'too-few',
  'no-layout',
] as const;

export type LossEnd = (typeof lossEnds)[number];

/** A machine of the present layout that is away. */
export interface AbsentMachine {
  /** Its position in the layout. */
  readonly machine: number;
  /** It was waited for as long as `recovery.waitSeconds` says. */
  readonly isOverdue: boolean;
  /** Whoever started its agent knows that it has ended, so that nothing of the run is left there. */
  readonly hasEnded: boolean;
}

export interface LossQuestion {
  readonly fleet: Fleet;
  readonly present: Lineup;
  readonly absent: readonly AbsentMachine[];
  /** There is a state to go on from: a checkpoint, or the seed where `recovery.fromStart` allows it. */
  readonly hasState: boolean;
  /** Of one device. */
  readonly memoryBytes: number;
}

export type LossAnswer =
  | { readonly kind: 'wait' }
  | {
      readonly kind: 'go on';
      readonly how: 'spare' | 'shrink';
      readonly lineup: Lineup;
      readonly fleet: Fleet;
      /** What changes, in words. */
      readonly text: string;
    }
  | { readonly kind: 'end'; readonly reason: LossEnd; readonly text: string };

const end = (reason: LossEnd, text: string): LossAnswer => ({ kind: 'end', reason, text });

/**
 * LSS-1: who goes on is a strict majority of the machines that the layout has. Exactly half of them are enough only where it is known of every
 * other one that nothing of the run is left on it: otherwise that half could go on too.
 */
function whoMayNot({ present, absent }: LossQuestion): LossAnswer | null {
  const all = present.places.length;
  const left = all - absent.length;
  if (2 * left > all) return null;
  const have = `${left} of ${counted(all, 'machine')} ${left === 1 ? 'is' : 'are'} left`;
  if (2 * left < all) return end('minority', `${have}, and a run goes on with more than half of them`);
  if (absent.every(({ hasEnded }) => hasEnded)) return null;
  return end(
    'half',
    `${have}, exactly half, and nobody knows that nothing of the run is left on the others: they could go on too`,
  );
}

/** With spare machines in the places of the lost ones where there are some, and else divided anew. */
function goOn({ fleet, present, memoryBytes }: LossQuestion, lost: readonly number[]): LossAnswer {
  const hosts = (places: readonly number[]): string =>
    places.map((place) => fleet.whole.machines[place]?.host ?? '').join(', ');
  const next = takeSpares(fleet, lost);
  const numTaken = fleet.spares.length - next.spares.length;
  const taken = fleet.spares.slice(0, numTaken).join(', ');
  if (numTaken === lost.length)
    return {
      kind: 'go on',
      how: 'spare',
      lineup: replaced(present, next),
      fleet: next,
      text: `${taken} in place of ${hosts(lost)}`,
    };
  if (fleet.policy === 'spare')
    return end(
      'no-spare',
      `${counted(lost.length, 'machine')} lost, and ${counted(fleet.spares.length, 'machine')} standing by`,
    );
  const { layout, why } = withoutMachines(next.whole, next.lost, { memoryBytes, min: next.min });
  if (layout === null) {
    const left = next.whole.machines.length - next.lost.length;
    return end(left < next.min ? 'too-few' : 'no-layout', why ?? '');
  }
  const { pp, dp, tp, ep } = layout.mixture;
  const machines = counted(layout.places.length, 'machine');
  return {
    kind: 'go on',
    how: 'shrink',
    lineup: shrunk(next, layout),
    fleet: next,
    text: `pp ${pp} × dp ${dp} × tp ${tp}, ep ${ep} on ${machines}${numTaken === 0 ? '' : `, ${taken} among them`}, without ${hosts(lost)}`,
  };
}

/**
 * What follows when machines are away, by the policy of the run. Pure: it asks nobody, and the same question has the same answer.
 *
 * LSS-2: as long as one of them is still waited for, nothing is decided: it may come back. LSS-3: the end has a reason of {@link lossEnds}.
 */
export function decideLoss(question: LossQuestion): LossAnswer {
  const { fleet, present, absent, hasState } = question;
  if (absent.some(({ isOverdue }) => !isOverdue)) return { kind: 'wait' };
  const lost = absent.map(({ machine }) => present.places[machine] ?? -1);
  if (fleet.policy === 'wait') return end('waited', 'recovery.machines is wait');
  const refusal = whoMayNot(question);
  if (refusal !== null) return refusal;
  if (!hasState)
    return end('no-state', 'there is no checkpoint to go on from, and recovery.fromStart is false');
  return goOn(question, lost);
}
