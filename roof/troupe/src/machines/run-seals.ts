import { randomUUID } from 'node:crypto';
import { agentNodeOf, leadNode, type Layout, type ResolvedTopology } from '@troupe/topology';
import { newCurvePair } from '@troupe/transport';
import type { RunKeys, RunSeal } from '../launch/protocol.ts';
import { nodesOfMachine } from './machine-workers.ts';

/** A name for the run, and a pair of keys for the lead and for each machine: new ones every time. */
export function sealsOf(
  { machines, wire, launcher }: ResolvedTopology,
  layout: Layout,
): { readonly lead: RunSeal; readonly machines: readonly RunSeal[] } {
  const run = randomUUID();
  if (wire.security === 'none' && launcher?.kind === 'local')
    return { lead: { run, keys: null }, machines: machines.map(() => ({ run, keys: null })) };
  const own = newCurvePair();
  const pairs = machines.map(() => newCurvePair());
  const nodes: RunKeys['nodes'] = [
    [leadNode, own.public],
    ...pairs.flatMap(({ public: key }, machine): RunKeys['nodes'] => [
      [agentNodeOf(machine), key],
      ...nodesOfMachine(layout, machine).map((rank) => [layout.nodeOf(rank), key] as const),
    ]),
  ];
  return {
    lead: { run, keys: { ...own, nodes } },
    machines: pairs.map((pair) => ({ run, keys: { ...pair, nodes } })),
  };
}
