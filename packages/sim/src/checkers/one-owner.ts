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
    see: (seen) => {
      if (seen.type !== 'turn') return null;
      const { address, node, life, incarnation } = seen;
      let known = owners.get(address);
      if (known === undefined) {
        known = [];
        owners.set(address, known);
      }
      const owner = known.find((each) => each.life === life && each.incarnation === incarnation);
      if (owner === undefined) known.push({ node, life, incarnation });
      return owner === undefined || owner.node === node
        ? null
        : `${address} in life ${life}.${incarnation} acts on ${owner.node} and on ${node}`;
    },
  };
};
