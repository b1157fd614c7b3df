import { LauncherError } from '../errors.ts';
import type { Launcher } from './launcher.ts';
import type { Environment } from './rank-from-environment.ts';
import { slurmNodes } from './slurm-node-list.ts';

/** Seconds that a node may take to begin a step; one that is down is tried again by who wants an agent there. */
const IMMEDIATE_SECONDS = 30;

/**
 * What every step has.
 *
 * `--overlap`: an agent's next life finds the cores that the ended one held, and the batch script's own, still taken. `--kill-on-bad-exit=0`
 * and `--no-kill`: an agent that dies, or a node, is the run's matter and not the end of the job. A step has its node's memory, and its
 * workers choose their cores themselves.
 */
const step = [
  '--nodes=1',
  '--ntasks=1',
  '--overlap',
  '--kill-on-bad-exit=0',
  '--no-kill',
  `--immediate=${IMMEDIATE_SECONDS}`,
  '--mem=0',
  '--cpu-bind=none',
  '--input=all',
];

/**
 * Nodes of the allocation that this process is in, in its order.
 *
 * @throws {LauncherError} TROUPE_LAUNCHER outside of one
 */
export function slurmAllocation(env: Environment): readonly string[] {
  const list = env['SLURM_JOB_NODELIST'];
  if (env['SLURM_JOB_ID'] === undefined || list === undefined)
    throw new LauncherError(
      'launcher slurm starts agents on the nodes of an allocation, and this is none (no SLURM_JOB_ID); add --dry-run to print a script for sbatch, or begin with salloc',
    );
  return slurmNodes(list, 'SLURM_JOB_NODELIST');
}

/** Machines as a topology has them. */
export interface WantedMachines {
  readonly machines: readonly { readonly host: string }[];
  /** Null: the file names the hosts; otherwise the nodes have places in their order. */
  readonly joining: object | null;
}

/**
 * The node of each machine; nodes beyond them stay free.
 *
 * @throws {LauncherError} TROUPE_LAUNCHER when the allocation lacks some
 */
export function nodesOfMachines(
  { machines, joining }: WantedMachines,
  nodes: readonly string[],
): readonly string[] {
  const have = `the allocation has ${nodes.length}: ${nodes.join(', ')}`;
  if (joining === null) {
    const missing = machines.map(({ host }) => host).filter((host) => !nodes.includes(host));
    if (missing.length > 0)
      throw new LauncherError(
        `no node of the allocation is called ${missing.join(', ')}; ${have}; name those under machines, or say how many with machines: { count, devices }`,
      );
    return machines.map(({ host }) => host);
  }
  if (nodes.length < machines.length)
    throw new LauncherError(
      `the topology wants ${machines.length} machines, and ${have}; ask for --nodes=${machines.length}, or set machines.count`,
    );
  return nodes.slice(0, machines.length);
}

/**
 * Starts agents as steps of the allocation that this process is in, one on each node, whose streams are those of `srun`.
 *
 * Nodes see the program, and the folder that this process works in, under the same paths, as is usual on clusters with Slurm.
 *
 * @param nodes - of each machine
 * @param program - what is run there, with its arguments
 */
export function slurmLauncher(nodes: readonly string[], program: readonly string[]): Launcher {
  return {
    name: 'slurm',
    command: (machine) => {
      const node = nodes[machine];
      if (node === undefined)
        throw new LauncherError(`machine ${machine} has no node; there are ${nodes.length}`);
      return { file: 'srun', args: [...step, `--nodelist=${node}`, ...program] };
    },
  };
}
