import type { Checker } from './checker.ts';

/** Who acted last under an address, and in which life. */
interface Owner {
  node: string;
  life: number;
  incarnation: number;
}

/** An address in one incarnation acts in one place. */
export const oneOwner = (): Checker => {
  /** By address; a life that ended stays beside the one that followed it. */
  const owners = new Map<string, Owner[]>();
  return {
    name: 'one-owner',
    looksAt: ['turn'],
    see: (seen) => {
      if (seen.type !== 'turn') return null;
      const { address, node, life, incarnation } = seen;
      const known = owners.get(address) ?? [];
      const last = known.at(-1);
      if (last?.life === life && last.incarnation === incarnation && last.node === node) return null;
      owners.set(address, known);
      const owner = known.find((each) => each.life === life && each.incarnation === incarnation);
      if (owner === undefined) known.push({ node, life, incarnation });
      return owner === undefined || owner.node === node
        ? null
        : `${address} in life ${life}.${incarnation} acts on ${owner.node} and on ${node}`;
    },
  };
};
