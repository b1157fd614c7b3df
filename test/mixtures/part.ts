/**
 * What of long lists runs in a test: one of so many, from the one that `TROUPE_MIXTURES` says (0, which is the default, 1 or 2), or with `all` every
 * one. `npm run test:sim` runs all.
 */
const chosen = process.env['TROUPE_MIXTURES'] ?? '0';

/** Lists run whole. */
export const runsAll = chosen === 'all';

/**
 * @param shift - so that lists beside each other do not all leave out the same kinds
 * @param of - one of so many; default 3
 */
export const inPart = <T>(all: readonly T[], shift = 0, of = 3): readonly T[] =>
  runsAll ? all : all.filter((_, index) => (index + shift) % of === Number(chosen) % of);
