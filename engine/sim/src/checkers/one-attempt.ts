import type { Checker } from './checker.ts';

/** Of these kinds `hears` tells a node that all attempts before its own are over; an actor may drop an event of any of `fenced`. */
export interface AttemptKinds {
  readonly hears: string;
  readonly fenced: readonly string[];
}

/** Once an actor of a node has heard that an attempt is over, no actor there takes up anything that belongs to it (REC-1). */
export const oneAttempt = ({ hears, fenced }: AttemptKinds): Checker => {
  /** The newest attempt that somebody has heard of, by node, and in which of its lives. */
  const heard = new Map<string, { readonly life: number; readonly attempt: number; readonly by: string }>();
  return {
    name: 'one-attempt',
    looksAt: ['turn'],
    kinds: [hears, ...fenced],
    see: (seen) => {
      if (seen.type !== 'turn' || seen.outcome !== 'handled') return null;
      const { node, life, address, kind, attempt, step } = seen;
      const known = heard.get(node);
      const isKnown = known?.life === life;
      if (kind !== hears)
        return !isKnown || attempt >= known.attempt
          ? null
          : `${address} took up ${kind} of step ${step}, attempt ${attempt}, and ${known.by} beside it is in attempt ${known.attempt}`;
      if (!isKnown || attempt > known.attempt) heard.set(node, { life, attempt, by: address });
      return null;
    },
  };
};
