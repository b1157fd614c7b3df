import type { Command } from 'commander';
import type { Launcher } from 'troupe/launch';
import { Ended, UsageError } from '../errors.ts';
import { print, printJson } from '../output.ts';
import { machineSettings } from '../run/machine-options.ts';
import { look } from '../run/summary.ts';
import { integer, verb } from '../verb.ts';
import { addRunOptions, type RunCommandOptions } from './launch.ts';

interface ResumeOptions extends RunCommandOptions {
  readonly checkpoint?: string;
  readonly dataChanged?: boolean;
  readonly extendTo?: number;
  readonly resetSchedule?: boolean;
}

/** @param launcher - what reaches the machines; default: that of the topology's kind */
export async function resume(
  path: string,
  options: ResumeOptions,
  launcher: Launcher | null = null,
): Promise<void> {
  if (options.detach === true) {
    const [{ mustHoldRun }, { runOfPath }, { detach }] = await Promise.all([
      import('troupe/control'),
      import('troupe/launch'),
      import('../run/detached.ts'),
    ]);
    const { folder } = runOfPath(path);
    mustHoldRun(folder);
    await detach({ path: folder, made: [] }, { json: options.json === true });
    return;
  }
  const { SpareWorker } = await import('troupe/spare-worker');
  const spare = new SpareWorker();
  const [{ lockRun, openRun, runOfPath }, { leaveLocked }, { follow }, { claimedBefore }] = await Promise.all(
    [
      import('troupe/launch'),
      import('../run/run-folder.ts'),
      import('../run/follow.ts'),
      import('../run/detached.ts'),
    ],
  );
  const isDetached = claimedBefore() !== null;
  const machines = await machineSettings(options);
  const { folder, checkpoint: named } = runOfPath(path);
  const asked = options.checkpoint ?? named;
  // Before anything is read: another writer of this run might remove what is being read.
  const lock = await lockRun(folder, asked, () => leaveLocked(folder));
  const { set, extendTo, resetSchedule = false, dataChanged = false } = options;
  const opened = openRun(folder, {
    set: [...set, ...machines],
    resetSchedule,
    // Another way than the newer checkpoints of the folder went, which the next resume would take for this run's.
    isNewest: extendTo !== undefined || resetSchedule || dataChanged,
    ...(extendTo === undefined ? {} : { extendTo }),
    ...(asked === null ? {} : { checkpoint: asked }),
  });
  const run = await opened.catch(async (error: unknown) => {
    await lock.release();
    throw error;
  });
  try {
    const { step } = run.checkpoint.manifest;
    const end = Math.min(options.stopAfter ?? run.topology.train.steps, run.topology.train.steps);
    if (step >= end) {
      if (options.stopAfter !== undefined && options.stopAfter < run.topology.train.steps)
        throw new UsageError(
          `--stop-after ${options.stopAfter} lies behind the checkpoint, which holds step ${step} of ${run.topology.train.steps}`,
        );
      if (options.json === true)
        printJson({
          event: 'error',
          code: 'TROUPE_RUN_COMPLETE',
          message: `step ${step} of ${step} is done`,
        });
      else
        print(
          `${folder} is complete: it holds step ${step} of ${run.topology.train.steps}`,
          `next: ${look(folder, run.topology)}`,
        );
      return;
    }
    const claim = async () => ({ path: folder, taken: null, made: [], lock });
    const exitCode = await follow(run.topology, {
      ...options,
      launcher,
      claim,
      spare,
      isDetached,
      checkpoints: true,
      resumeFrom: run.checkpoint,
      notes: run.notes,
    });
    if (exitCode !== 0) throw new Ended(exitCode);
  } finally {
    await lock.release();
    await run.checkpoint.close();
  }
}

export function registerResume(program: Command): void {
  addRunOptions(
    verb(
      program,
      'resume <run>',
      'Go on from the newest checkpoint of a run folder; the numbers are those of a run that never stopped.',
      "npx troupe resume runs/quickstart --set parallel.dp=1 --set parallel.ep=1 --set 'machines=[{host: localhost, devices: [cpu:0]}]'",
    ),
  )
    .option('--checkpoint <name>', 'an older checkpoint, e.g. step-000100')
    .option(
      '--extend-to <step>',
      'a later last step: the learning rate falls until there; the numbers are those of no run that had it from the start',
      integer(1),
    )
    .option(
      '--reset-schedule',
      'restart the schedule for the steps that are left; then --set train.optimizer.lr, lrMin, schedule and warmup may change',
    )
    .option(
      '--data-changed',
      'go on with another corpus than the one of the checkpoint; its numbers are other ones',
    )
    .action((path: string, options: ResumeOptions) => resume(path, options));
}
