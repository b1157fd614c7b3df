/** Who leads a run: a number that rises from lead to lead, and which process it is, since two may take the same number on two disks. */
export interface Claim {
  readonly epoch: number;
  /** Drawn by the process when it begins; no other process has it. */
  readonly incarnation: string;
}

/** What a file `lead-<epoch>` says: the claim, and how often its owner has given a sign. */
export interface ClaimSign extends Claim {
  readonly counter: number;
}

/** Name of the file that is created exclusively in the run's folder: `lead-000007`. */
export const claimFile = (epoch: number): string => `lead-${String(epoch).padStart(6, '0')}`;

export const isSameClaim = (a: Claim, b: Claim): boolean =>
  a.epoch === b.epoch && a.incarnation === b.incarnation;

/** A claim as somebody has seen it, and since when, by the own monotonic clock, it has looked so. */
export interface Watched {
  readonly sign: ClaimSign;
  readonly sinceMs: number;
}

/**
 * What is known of the newest claim after one more look.
 *
 * LED-4: only a change counts, and only the time between two looks of the watcher itself: no clock of another machine, and no process id.
 */
export function watch(before: Watched | null, sign: ClaimSign, nowMs: number): Watched {
  const isStill = before !== null && isSameClaim(before.sign, sign) && before.sign.counter === sign.counter;
  return isStill ? before : { sign, sinceMs: nowMs };
}

/** Whether its owner gave no sign for so long that another may claim the next epoch. */
export const isStale = ({ sinceMs }: Watched, nowMs: number, leadMs: number): boolean =>
  nowMs - sinceMs >= leadMs;
