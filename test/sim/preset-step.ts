import { loadTopology, planTopology } from '@troupe/topology';
import { openSimulator } from 'troupe';

/** What a step of a preset on its own cluster came to, without arithmetic. */
export interface PresetStep {
  readonly devices: number;
  readonly parameters: number;
  /** Of the fullest device, as it allocated them. */
  readonly bytes: number;
  readonly wallSeconds: number;
  /** What is not as planned, in words. */
  readonly wrong: readonly string[];
}

/** Bytes of a device are planned at even load, and experts have whole rows. */
const NEAR = 0.05;

/** Runs one step of a preset in shapes-only simulation, and holds what its devices and hosts allocate against its plan. */
export async function presetStep(preset: string, set: readonly string[] = []): Promise<PresetStep> {
  const topology = loadTopology(preset, {
    set: [...set, 'checkpoint.every=0', 'data={synthetic: zipf, holdout: 0}'],
  });
  const { memory, parameters } = planTopology(topology);
  const startedMs = performance.now();
  const simulator = await openSimulator(topology, { shapesOnly: true });
  const run = await simulator.run({ seed: 1, steps: 1, faults: [] });
  const wrong = memory.flatMap(({ node, own }, worker) => {
    const { bytes = 0 } = run.memory[worker] ?? {};
    return Math.abs(bytes - own.device) <= NEAR * own.device
      ? []
      : [`${node}: ${bytes} bytes for planned ${own.device}`];
  });
  const hosts = run.memory.slice(memory.length).reduce((sum, { bytes }) => sum + bytes, 0);
  const planned = memory.reduce((sum, { own }) => sum + own.host, 0);
  return {
    devices: memory.length,
    parameters: parameters.total,
    bytes: Math.max(...run.memory.slice(0, memory.length).map(({ bytes }) => bytes)),
    wallSeconds: (performance.now() - startedMs) / 1000,
    wrong: [
      ...(run.result.exitCode === 0 ? [] : [run.result.error?.message ?? `exit code ${run.result.exitCode}`]),
      ...wrong,
      // Sums of groups that wait for others to come are not planned.
      ...(hosts >= planned ? [] : [`hosts: ${hosts} bytes for planned ${planned}`]),
    ],
  };
}
