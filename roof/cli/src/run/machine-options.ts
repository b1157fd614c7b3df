import { readFileSync } from 'node:fs';
import { Option, type Command } from 'commander';
import { UsageError } from '../errors.ts';
import { named } from '../verb.ts';

/** Options of `launch` and `resume` that say on which machines, and how they are reached. */
export interface MachineOptions {
  readonly hostfile?: string;
  readonly launcher?: 'local' | 'ssh' | 'slurm';
  readonly dryRun?: boolean;
}

export function addMachineOptions(command: Command): Command {
  return command
    .option(
      '--hostfile <file>',
      "machines of a DeepSpeed or MPI hostfile ('gpu-1 slots=4' a line), in place of those of the topology",
      named,
    )
    .addOption(
      new Option(
        '--launcher <kind>',
        'what starts an agent on each machine, in place of launcher.kind of the topology',
      ).choices(['local', 'ssh', 'slurm']),
    )
    .option(
      '--dry-run',
      'print what would be run to reach each machine (for Slurm a script for sbatch), and run nothing',
    );
}

function readHostfile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`--hostfile: cannot read '${path}' (${(error as NodeJS.ErrnoException).code})`);
  }
}

/**
 * What these options mean as values of `--set`.
 *
 * @throws {UsageError} a hostfile that is none
 */
export async function machineSettings({ hostfile, launcher }: MachineOptions): Promise<readonly string[]> {
  const settings: string[] = [];
  if (hostfile !== undefined) {
    const { machinesOfHostfile } = await import('../hosts/host-file.ts');
    settings.push(`machines=${JSON.stringify(machinesOfHostfile(readHostfile(hostfile), hostfile))}`);
  }
  // Settings of ssh stay where ssh is meant; another launcher has none.
  if (launcher === 'ssh') settings.push('launcher.kind=ssh');
  else if (launcher !== undefined) settings.push(`launcher={kind: ${launcher}}`);
  return settings;
}
