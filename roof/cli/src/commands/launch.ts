import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Option, type Command } from 'commander';
import { Ended } from '../errors.ts';
import { collect, integer, named, stepRange, verb, type CommonOptions } from '../verb.ts';
import {
  addMachineOptions,
  addPodOptions,
  machineSettings,
  mustMeanPods,
  type MachineOptions,
  type PodOptions,
} from '../run/machine-options.ts';
import type { BatchOptions } from '../run/batch-job.ts';
import type { StepRange } from '../run/profile-request.ts';
import type { Launcher, LogLevel } from 'troupe/launch';

/** What `launch` and `resume` share. */
export interface RunCommandOptions extends CommonOptions, MachineOptions {
  readonly set: readonly string[];
  readonly stopAfter?: number;
  readonly quiet?: boolean;
  /** In the background. */
  readonly detach?: boolean;
  readonly logLevel: LogLevel;
  readonly grace: number;
  /** True without a file. */
  readonly profile?: string | true;
  readonly profileSteps?: StepRange;
}

export interface LaunchCommandOptions extends RunCommandOptions, Omit<PodOptions, 'checkpoint' | 'profile'> {
  /** False with `--no-checkpoint`. */
  readonly checkpoint: boolean;
  readonly runDir?: string;
  /** Path of a checkpoint. */
  readonly from?: string;
}

/** Seconds that SIGTERM grants for finishing the step and its checkpoint: less than the 30 that Kubernetes waits. */
export const GRACE_SECONDS = 25;

export function addRunOptions(command: Command): Command {
  command
    .option('--set <key=value>', 'override one key, may be repeated', collect, [])
    .option('--stop-after <step>', 'end after this step; the schedule stays that of train.steps', integer(1))
    .option('--quiet', 'print only how the run ended')
    .option('--detach', 'go on in the background; status, top, logs and stop find it by its folder')
    .option(
      '--grace <seconds>',
      'on SIGTERM, SIGHUP, SIGQUIT: time to finish the step and write a checkpoint',
      integer(0),
      GRACE_SECONDS,
    )
    .option(
      '--profile [file]',
      'write a trace for ui.perfetto.dev (.json or .json.gz; default: profile.json.gz in the run folder) and print where the time went',
    )
    .option('--profile-steps <a..b>', 'steps that --profile records; default: ten after two', stepRange)
    .addOption(
      new Option('--log-level <level>', 'log lines on standard error')
        .choices(['debug', 'info', 'warn', 'error', 'silent'])
        .default('silent'),
    );
  return addMachineOptions(command);
}

/** The same for a job that is handed to a batch system. */
const batchOf = (
  topology: string,
  set: readonly string[],
  options: LaunchCommandOptions,
  folder: string,
): BatchOptions => {
  const { from, runDir, stopAfter, quiet = false, logLevel, profile } = options;
  return {
    topology,
    set,
    from: from ?? null,
    runFolder: runDir ?? folder,
    stopAfter: stopAfter ?? null,
    quiet,
    logLevel,
    pods: { ...options, profile: profile !== undefined },
  };
};

/** Claims the folder and leaves the rest to a process of its own. */
async function launchDetached(name: string, options: LaunchCommandOptions): Promise<void> {
  const [{ loadTopology }, { claimRunFolder, releaseRunFolder }, { detach }] = await Promise.all([
    import('@troupe/topology'),
    import('../run/run-folder.ts'),
    import('../run/detached.ts'),
  ]);
  const topology = loadTopology(name, { set: [...options.set, ...(await machineSettings(options))] });
  const folder = await claimRunFolder(options.runDir ?? topology.checkpoint.dir);
  const { path, made } = folder;
  await folder.lock.remove();
  await detach({ path, made }, { json: options.json === true }).catch((error: unknown) => {
    // It came not even so far that it would give back the folder itself.
    if (!existsSync(join(path, 'metrics.jsonl'))) releaseRunFolder(folder, []);
    throw error;
  });
}

/** @param launcher - what reaches the machines; default: that of the topology's kind */
export async function launch(
  name: string,
  options: LaunchCommandOptions,
  launcher: Launcher | null = null,
): Promise<void> {
  if (options.detach === true && options.dryRun !== true && options.apply !== true) {
    await launchDetached(name, options);
    return;
  }
  const { SpareWorker } = await import('troupe/spare-worker');
  const spare = new SpareWorker();
  const [
    { openCheckpointAt, withAbsolutePaths },
    { loadTopology },
    { adoptRunFolder, claimRunFolder },
    { follow },
    { claimedBefore },
  ] = await Promise.all([
    import('troupe/launch'),
    import('@troupe/topology'),
    import('../run/run-folder.ts'),
    import('../run/follow.ts'),
    import('../run/detached.ts'),
  ]);
  const claimed = claimedBefore();
  const set = [...options.set, ...(await machineSettings(options))];
  const topology = withAbsolutePaths(loadTopology(name, { set }));
  const batch = batchOf(name, set, options, topology.checkpoint.dir);
  mustMeanPods(batch.pods, { kind: topology.launcher?.kind, isDry: options.dryRun === true });
  const claim = () =>
    claimed === null ? claimRunFolder(options.runDir ?? topology.checkpoint.dir) : adoptRunFolder(claimed);
  const weightsFrom = options.from === undefined ? null : await openCheckpointAt(options.from);
  try {
    const exitCode = await follow(topology, {
      ...options,
      launcher,
      claim,
      batch,
      spare,
      isDetached: claimed !== null,
      checkpoints: options.checkpoint,
      resumeFrom: null,
      weightsFrom,
      notes:
        weightsFrom === null
          ? []
          : [
              `weights of ${options.from}, after step ${weightsFrom.manifest.step} there; the optimizer, the schedule and the order of the data restart`,
            ],
    });
    if (exitCode !== 0) throw new Ended(exitCode);
  } finally {
    await weightsFrom?.close();
  }
}

export function registerLaunch(program: Command): void {
  const command = addRunOptions(
    verb(
      program,
      'launch <topology>',
      'Train a topology (a file, or a preset: quickstart, tiny, or a known model that `init --help` names) on worker processes of this machine, or of several.',
      'npx troupe launch quickstart --set train.optimizer.lr=2e-3 --stop-after 100\n  npx troupe launch run.yaml --hostfile hosts --launcher ssh\n  npx troupe launch run.yaml --launcher slurm --dry-run > job.sbatch && sbatch job.sbatch\n  npx troupe launch run.yaml --launcher kubernetes --image registry/troupe:1 --claim runs --dry-run | kubectl apply -f -',
    ),
  )
    .option(
      '--from <checkpoint>',
      'start with the weights of a run or checkpoint; the optimizer, the schedule and the data restart (fine-tuning)',
    )
    .option('--no-checkpoint', 'write no checkpoints')
    .option(
      '--run-dir <folder>',
      'run folder; default: checkpoint.dir of the topology; one that exists gets a numbered sibling',
      named,
    );
  addPodOptions(command).action((name: string, options: LaunchCommandOptions) => launch(name, options));
}
