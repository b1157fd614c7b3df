import type { Checker } from './checker.ts';

/** An address in one incarnation acts in one place. */
export const oneOwner = (): Checker => {
  const owners = new Map<string, string>();
  return {
    name: 'one-owner',
    see: (seen) => {
      if (seen.type !== 'turn') return null;
      const life = `${seen.address} in life ${seen.life}.${seen.incarnation}`;
      const owner = owners.get(life);
      if (owner === undefined) owners.set(life, seen.node);
      return owner === undefined || owner === seen.node
        ? null
        : `${life} acts on ${owner} and on ${seen.node}`;
    },
  };
};
