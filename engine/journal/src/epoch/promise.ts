import { isSameClaim, type Claim } from './claim.ts';

/** What a member answers: that it follows from now on, or whom it follows. */
export interface Answer {
  readonly from: string;
  readonly asked: Claim;
  /** The claim that the member has promised, the one that asked or another. */
  readonly promised: Claim;
}

/**
 * What a member has promised once somebody has asked. LED-2: a promise is kept before the answer leaves, lower epochs are refused, and of
 * one epoch the first process alone is followed, since where no disk is shared two may have claimed it.
 */
export function promise(before: Claim | null, asked: Claim): Claim {
  return before === null || asked.epoch > before.epoch ? asked : before;
}

/** Whether a member does what a lead says: only the one that it has promised. */
export const obeys = (promised: Claim | null, from: Claim): boolean =>
  promised !== null && isSameClaim(promised, from);

/** LED-3: whether more than half of the recorded membership have promised, whoever else was asked, or answered. */
export function isMajority(membership: readonly string[], promised: ReadonlySet<string>): boolean {
  const given = membership.filter((member) => promised.has(member)).length;
  return 2 * given > membership.length;
}
