/** Two nodes between which no way was found, and what was found instead. */
export interface BrokenLink {
  readonly node: string;
  readonly by: string;
  readonly reason: string;
}

/** The machine that counts as lost, by its agent, and why. */
export interface LostByLinks {
  readonly agent: string;
  readonly reason: string;
}

/** A machine that others do not reach, or that does not reach them: which those are, and the first sentence of it. */
interface Cut {
  readonly others: Set<string>;
  readonly sentence: string;
}

/**
 * Which machine counts as lost when machines that all see the lead do not reach each other: the one with more broken links to others, of
 * equal ones the one that comes later. null: none of them may be lost, or all of it lies within machines.
 *
 * @param machines - the workers of each machine that can be lost, by its agent, in the order of machines
 */
export function lostByLinks(
  links: Iterable<BrokenLink>,
  machines: ReadonlyMap<string, readonly string[]>,
): LostByLinks | null {
  const agents = [...machines.keys()];
  const machineOf = (node: string): string =>
    agents.find((agent) => agent === node || machines.get(agent)?.includes(node)) ?? node;
  const cuts = new Map<string, Cut>();
  for (const { node, by, reason } of links) {
    const ends = [machineOf(node), machineOf(by)] as const;
    if (ends[0] === ends[1]) continue;
    const sentence = `${by} does not reach ${node}: ${reason}`;
    for (const [machine, other] of [ends, ends.toReversed()] as const) {
      const cut = cuts.get(machine ?? '') ?? { others: new Set(), sentence };
      cuts.set(machine ?? '', { ...cut, others: cut.others.add(other ?? '') });
    }
  }
  const size = (agent: string): number => cuts.get(agent)?.others.size ?? 0;
  const [agent] = agents
    .filter((each) => size(each) > 0)
    .toReversed()
    .sort((a, b) => size(b) - size(a));
  if (agent === undefined) return null;
  return { agent, reason: `it counts as lost, since ${cuts.get(agent)?.sentence ?? ''}` };
}
