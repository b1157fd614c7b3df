import { assert, type Address } from '@troupe/core';
import { moeLayers } from '@troupe/spec';
import { addresses, type Layout } from '@troupe/topology/layout';
import { agentsOf, crewOf, type Agents } from '../crew.ts';
import { layersOfCrew, peerRows, type Share } from '../share.ts';

/** Everybody that the trainer speaks to, by address. */
export class Company {
  readonly agents: Agents;
  /** All that votes and measures. */
  readonly stepping: readonly Address[];
  /** Shards of all machines. */
  readonly numShards: number;
  readonly store = addresses.store(0);
  readonly #layout: Layout;
  readonly #machines: ReadonlyMap<Address, number>;
  /** What the measures of machines add, by agent: machines with the same layers have one object. */
  readonly #shares: ReadonlyMap<Address, Share>;

  constructor(layout: Layout) {
    this.#layout = layout;
    this.agents = agentsOf(layout);
    this.stepping = [...new Set([...this.agents.voting, ...this.agents.computing])];
    const position = new Map(moeLayers(layout.model).map((layer, index) => [layer, index]));
    const known = new Map<string, Share>();
    const shareOf = (machine: number): Share => {
      const layers = layersOfCrew(layout, crewOf(layout, machine)).map((layer) => position.get(layer) ?? 0);
      const key = layers.join();
      const share = known.get(key) ?? { layers, hasLoss: true, counts: true, peers: '' };
      known.set(key, share);
      return share;
    };
    const machines = Array.from({ length: layout.machines.count }, (_, machine) => machine);
    this.#machines = new Map(machines.map((machine) => [addresses.agent(machine), machine]));
    this.#shares = new Map(machines.map((machine) => [addresses.agent(machine), shareOf(machine)]));
    this.numShards = Array.from(layout.workers()).reduce(
      (sum, worker) => sum + layout.groupsOf(worker).length,
      0,
    );
  }

  /** What the measure of a machine adds to the sums of a step: its agent has left out what does not count. */
  shareOf(agent: Address): Share {
    const share = this.#shares.get(agent);
    assert(share, 'only agents measure', { agent });
    return share;
  }

  /** Rows of tensor peers with a stage on a machine, in the order in which its agent speaks of them. */
  peerRowsOf(agent: Address): readonly string[] {
    const machine = this.#machines.get(agent);
    assert(machine !== undefined, 'only agents measure', { agent });
    return peerRows(this.#layout, crewOf(this.#layout, machine));
  }
}
