import type { Buddies } from './buddies.ts';
import type { MachineRow } from './machine-row.ts';
import { workerRank, type WorkerRank } from './rank.ts';

/**
 * Who keeps a copy of what only a host has: the host of the next machine; on a single machine the device whose shard it is, which is
 * another process.
 */
export class HostBuddies implements Pick<Buddies, 'of' | 'wardsOf'> {
  readonly #machines: MachineRow;
  readonly #world: number;

  constructor(machines: MachineRow, world: number) {
    this.#machines = machines;
    this.#world = world;
  }

  of(worker: WorkerRank): WorkerRank {
    const { count } = this.#machines;
    if (count === 1) return worker;
    return workerRank(this.#world + ((this.#machines.machineOf(worker) + 1) % count));
  }

  wardsOf(node: WorkerRank): readonly WorkerRank[] {
    const { count } = this.#machines;
    const isHost = node >= this.#world;
    if (count === 1) return isHost ? [] : [node];
    return isHost ? [...this.#machines.workersOf((node - this.#world + count - 1) % count)] : [];
  }
}
