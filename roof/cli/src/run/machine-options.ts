import { readFileSync } from 'node:fs';
import { Option, type Command } from 'commander';
import { UsageError } from '../errors.ts';
import { named } from '../verb.ts';

/** Options of `launch` and `resume` that say on which machines, and how they are reached. */
export interface MachineOptions {
  readonly hostfile?: string;
  readonly launcher?: 'local' | 'ssh' | 'slurm' | 'kubernetes';
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
      ).choices(['local', 'ssh', 'slurm', 'kubernetes']),
    )
    .option(
      '--dry-run',
      'print what would be run to reach each machine (for Slurm a script for sbatch, for Kubernetes a manifest), and run nothing',
    );
}

/** Options of `launch` for pods. */
export interface PodOptions {
  readonly image?: string;
  readonly namespace?: string;
  readonly claim?: string;
  readonly jobset?: boolean;
  readonly apply?: boolean;
  readonly runDir?: string;
  /** False with `--no-checkpoint`. */
  readonly checkpoint: boolean;
  readonly profile: boolean;
}

export const addPodOptions = (command: Command): Command =>
  command
    .option(
      '--image <image>',
      'for launcher kubernetes: the image of the pods, with troupe on its PATH',
      named,
    )
    .option('--namespace <name>', 'for launcher kubernetes: where; default: that of the context', named)
    .option(
      '--claim <name>',
      'for launcher kubernetes: a PersistentVolumeClaim, mounted at /troupe, for the run folder and data',
      named,
    )
    .option('--jobset', 'for launcher kubernetes: a JobSet in place of a Job and a Service')
    .option('--apply', 'for launcher kubernetes: hand the manifest, with a new key, to kubectl');

/** @throws {UsageError} options for pods where the run has none, or that leave each other nothing to do */
export function mustMeanPods(
  { image, namespace, claim, jobset, apply }: PodOptions,
  { kind, isDry }: { readonly kind: string | undefined; readonly isDry: boolean },
): void {
  if (apply === true && isDry)
    throw new UsageError(
      '--apply and --dry-run exclude each other: one runs the manifest, the other prints it',
    );
  const given = Object.entries({ image, namespace, claim, jobset, apply }).find(
    ([, value]) => value !== undefined,
  );
  if (given !== undefined && kind !== 'kubernetes')
    throw new UsageError(`--${given[0]} goes with --launcher kubernetes; this run has ${kind ?? 'none'}`);
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
