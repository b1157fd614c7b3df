/**
 * What of long lists of mixtures runs in a test: every third, from the one that `TROUPE_MIXTURES` says (0, which is the default, 1 or 2), or with
 * `all` every one. `npm run test:sim` runs all.
 */
const chosen = process.env['TROUPE_MIXTURES'] ?? '0';

/** @param shift - so that lists beside each other do not all leave out the same kinds */
export const inThird = <T>(all: readonly T[], shift = 0): readonly T[] =>
  chosen === 'all' ? all : all.filter((_, index) => (index + shift) % 3 === Number(chosen) % 3);
