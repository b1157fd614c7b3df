import type { Checker, TurnSeen } from './checker.ts';

/** Experts that are on their way to other seats. */
interface Move {
  readonly attempt: number;
  readonly seats: string;
  /** Who was told, and who of them has said that all that comes to it is there. */
  readonly told: Set<string>;
  readonly staged: Set<string>;
}

const seatsOf = ({ tensors }: TurnSeen): string | null => {
  const groups_LE = tensors['groups_LE'];
  return groups_LE instanceof Int32Array ? groups_LE.join() : null;
};

/**
 * In an attempt everybody hears of the same seats of experts; and of others than before only once all that moves lies where it will sit
 * (MOV-2).
 */
export const seatsAgree = (): Checker => {
  const byAttempt = new Map<number, string>();
  let newest: string | null = null;
  let move: Move | null = null;
  const changed = ({ address, attempt }: TurnSeen, seats: string): string | null => {
    // The first word of them may be where a run began.
    if (seats === newest || (newest === null && move?.seats !== seats)) return null;
    if (move?.seats !== seats)
      return `${address} hears in attempt ${attempt} of seats to which no expert moved`;
    const { told, staged } = move;
    const missing = [...told].find((each) => !staged.has(each));
    return missing === undefined
      ? null
      : `${address} hears in attempt ${attempt} of new seats of experts, and ${missing} has not said that all has come`;
  };
  return {
    name: 'seats-agree',
    looksAt: ['turn'],
    kinds: ['experts.move', 'experts.staged', 'attempt.abandon'],
    see: (seen) => {
      if (seen.type !== 'turn' || seen.outcome !== 'handled') return null;
      const { address, from, kind, attempt } = seen;
      if (kind === 'experts.staged') {
        if (move?.attempt === attempt) move.staged.add(from);
        return null;
      }
      const seats = seatsOf(seen);
      if (seats === null) return null;
      if (kind === 'experts.move') {
        if (move?.attempt !== attempt) move = { attempt, seats, told: new Set(), staged: new Set() };
        // An agent passes it on, and nothing comes to it.
        if (!address.startsWith('agent/')) move.told.add(address);
        return null;
      }
      const known = byAttempt.get(attempt);
      if (known !== undefined)
        return known === seats ? null : `${address} hears of other seats in attempt ${attempt} than others`;
      const wrong = changed(seen, seats);
      byAttempt.set(attempt, seats);
      newest = seats;
      return wrong;
    },
  };
};
