/**
 * Simulates a cluster with the library of another checkout and prints what it took: `node pairs-simulation.js LIBRARY TOPOLOGY STEPS TURNS`.
 * The first turn warms up unless it is the only one; high water is the process's own.
 */
import { readFileSync } from 'node:fs';
import type * as troupe from 'troupe';

export interface SimulationCost {
  /** Scheduled events and turns of actors in one run. */
  readonly numEvents: number;
  /** Processor time of the fastest run. */
  readonly seconds: number;
  readonly peakBytes: number;
}

const [library = '', file = '', steps = '1', turns = '1'] = process.argv.slice(2);
const { loadTopology, openSimulator } = (await import(library)) as typeof troupe;
const simulator = await openSimulator(loadTopology(file), { shapesOnly: true });
let cost: Pick<SimulationCost, 'numEvents' | 'seconds'> = { numEvents: 0, seconds: Number.POSITIVE_INFINITY };
for (let turn = 0; turn < Number(turns); turn++) {
  let numTurns = 0;
  const before = process.cpuUsage();
  const { result, violation, numEvents } = await simulator.run(
    { seed: 1, steps: Number(steps), faults: [] },
    { observe: () => numTurns++ },
  );
  const { user, system } = process.cpuUsage(before);
  if (result.exitCode !== 0 || violation !== null)
    throw new Error(violation?.text ?? result.error?.message ?? 'a simulation failed');
  const seconds = (user + system) / 1e6;
  if (seconds < cost.seconds) cost = { numEvents: numEvents + numTurns, seconds };
}
const mark = /VmHWM:\s+(\d+)/u.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
const told: SimulationCost = { ...cost, peakBytes: 1024 * Number(mark) };
process.stdout.write(JSON.stringify(told));
