import type { Checker } from './checker.ts';

/** All shards apply the same decision to a step, and all of them end at the same version. */
export const versionsAgree = (): Checker => {
  const decisions = new Map<number, { readonly text: string; readonly by: string }>();
  const applied = new Map<number, { readonly version: number; readonly by: string }>();
  return {
    name: 'versions-agree',
    looksAt: ['turn'],
    kinds: ['commit.decide', 'commit.applied'],
    see: (seen) => {
      if (seen.type !== 'turn' || seen.outcome !== 'handled') return null;
      if (seen.kind === 'commit.decide') {
        // Agents get it with its record, shards without.
        const text = JSON.stringify({ ...seen.body, record: undefined });
        const known = decisions.get(seen.step);
        if (known === undefined) decisions.set(seen.step, { text, by: seen.address });
        else if (known.text !== text)
          return `step ${seen.step} was decided twice: ${known.by} got ${known.text}, ${seen.address} got ${text}`;
      }
      if (seen.kind === 'commit.applied') {
        const known = applied.get(seen.step);
        if (known === undefined) applied.set(seen.step, { version: seen.version, by: seen.from });
        else if (known.version !== seen.version)
          return `after step ${seen.step} ${known.by} is at version ${known.version}, ${seen.from} at ${seen.version}`;
      }
      return null;
    },
  };
};
