import type { Checker } from './checker.ts';

/** The copy that a shard needs, by the address of the shard. */
export interface NeededCopy {
  /** Who keeps it. */
  readonly ward: string;
  /** Elements. */
  readonly size: number;
}

/**
 * When the trainer hears that a shard has its sum, or its state, the copy of what that shard alone holds has taken up all of the same: so
 * whatever is lost from then on, nothing has to be repeated.
 */
export const copiesKept = (needed: ReadonlyMap<string, NeededCopy>): Checker => {
  /** Elements that copies have taken up of the newest round, by copy and kind. */
  const taken = new Map<string, { readonly round: string; elements: number }>();
  const keptOf = (key: string, round: string): { elements: number } => {
    let kept = taken.get(key);
    if (kept?.round !== round) {
      kept = { round, elements: 0 };
      taken.set(key, kept);
    }
    return kept;
  };
  return {
    name: 'copies-kept',
    looksAt: ['turn'],
    kinds: ['ward.sum', 'ward.state', 'gradient.vote', 'shard.loaded'],
    see: (seen) => {
      if (seen.type !== 'turn' || seen.outcome !== 'handled') return null;
      const { address, kind, from, step, version, attempt, body } = seen;
      if (kind === 'ward.sum' || kind === 'ward.state') {
        const round = `${kind === 'ward.sum' ? step : version}/${attempt}`;
        keptOf(`${kind} ${address}`, round).elements += Number(body['to']) - Number(body['from']);
        return null;
      }
      const copy = needed.get(from);
      if (copy === undefined) return null;
      const isVote = kind === 'gradient.vote';
      const round = `${isVote ? step : version}/${attempt}`;
      const { elements } = keptOf(`${isVote ? 'ward.sum' : 'ward.state'} ${copy.ward}`, round);
      if (elements === copy.size) return null;
      const what = isVote
        ? `votes in step ${step}, attempt ${attempt}`
        : `says that it holds version ${version} in attempt ${attempt}`;
      return `${from} ${what}, and ${copy.ward} has ${elements} of ${copy.size} elements of it`;
    },
  };
};
