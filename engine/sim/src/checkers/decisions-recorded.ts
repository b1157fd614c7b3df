import type { Checker } from './checker.ts';

export interface RecordedDecisions {
  /** The kind of message by which a decision leaves. */
  readonly sends: string;
  /** Whether a loss of power now would leave the record of that decision. */
  readonly lasts: (step: number, attempt: number) => boolean;
}

/** No decision is heard of before its record lasts (JRN-1). */
export const decisionsRecorded = ({ sends, lasts }: RecordedDecisions): Checker => {
  /** Those that were looked for: a record goes when a later checkpoint makes it needless. */
  const known = new Set<string>();
  return {
    name: 'decisions-recorded',
    looksAt: ['turn'],
    kinds: [sends],
    see: (seen) => {
      if (seen.type !== 'turn') return null;
      const { step, attempt, address } = seen;
      const key = `${step} ${attempt}`;
      if (known.has(key)) return null;
      known.add(key);
      return lasts(step, attempt)
        ? null
        : `${address} heard of the decision of step ${step}, attempt ${attempt}, and a loss of power now would lose its record`;
    },
  };
};
