import { shellWord } from '@troupe/core';

/** A run as a job of Slurm. */
export interface SlurmJob {
  /** Of the topology, for who looks at the queue. */
  readonly name: string;
  readonly nodes: number;
  /** Threads of all devices of a machine. */
  readonly cpus: number;
  /** Bytes of a checkpoint. */
  readonly checkpointBytes: number;
  /** How `troupe` is called, a word each. */
  readonly program: readonly string[];
  /** Where the run works: a folder that all nodes see. */
  readonly workdir: string;
  /** The topology: a file, or the name of a preset. */
  readonly topology: string;
  /** Overrides of it, `key=value`. */
  readonly set: readonly string[];
  /** Checkpoint whose weights the run starts with; null: new ones. */
  readonly from: string | null;
  /** Further arguments of `launch` and `resume`. */
  readonly further: readonly string[];
  /** Run folder; the job's number is added, since a job that is queued again goes on in it. */
  readonly runFolder: string;
}

/** Bytes a second that a disk for many is expected to take at least: a tenth of what one alone does. */
const SLOW_DISK = 100e6;

/** Seconds for the step under way, for ending, and for what runs at the same time. */
export const ENDING_SECONDS = 60;

/** Lives of a job that failed in a way that may pass; more would fail for ever. */
const MOST_LIVES = 20;

/** Seconds that a run has to finish its step and write a checkpoint. */
export const secondsToSave = (checkpointBytes: number): number =>
  ENDING_SECONDS + 10 * Math.ceil(checkpointBytes / SLOW_DISK / 10);

/**
 * A script for `sbatch` that runs a topology, saves before the job's time is over, and goes on in the job's next life.
 *
 * A word of it is never read by a shell as anything else. It holds no key and no secret.
 */
export function slurmBatchScript(job: SlurmJob): string {
  const grace = secondsToSave(job.checkpointBytes);
  const words = (each: readonly string[]): string => each.map(shellWord).join(' ');
  const set = job.set.flatMap((each) => ['--set', each]);
  const first = job.from === null ? [] : ['--from', job.from];
  const same = [...set, '--grace', String(grace), ...job.further];
  return `#!/bin/bash
# Give it to sbatch, with what your site wants: sbatch --partition=gpu --time=08:00:00 SCRIPT
#SBATCH --job-name=${job.name.replaceAll(/[^\w.-]/gu, '-')}
#SBATCH --nodes=${job.nodes}
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=${job.cpus}
#SBATCH --output=troupe-%j.out
#SBATCH --open-mode=append
# USR1 comes so many seconds before the job's time is over: enough for a step, a checkpoint and the end.
#SBATCH --signal=B:USR1@${grace + ENDING_SECONDS}
# Queued again when its time is over, when a node fails and when it is preempted; sbatch --no-requeue for once only.
#SBATCH --requeue
set -u
cd ${shellWord(job.workdir)} || exit 1
run=${shellWord(job.runFolder)}-$SLURM_JOB_ID

# The first signal makes the run save and end; it is told once, and when it has begun.
asked= troupe=
tell() { if [ -n "$troupe" ]; then kill -TERM "$troupe"; fi; }
save() { if [ -z "$asked" ]; then asked=$1; tell; fi; }
trap 'save USR1' USR1
trap 'save TERM' TERM

if compgen -G "$run/step-*" >/dev/null; then
  set -- resume "$run"
else
  # What a life before its first checkpoint has left is kept, out of the way.
  if [ -e "$run" ]; then mv "$run" "$run.without-checkpoint-\${SLURM_RESTART_COUNT:-0}"; fi
  set -- launch ${words([job.topology, ...first])} --run-dir "$run"
fi
${words(job.program)} "$@" ${words(same)} &
troupe=$!
if [ -n "$asked" ]; then tell; fi

# A signal ends \`wait\`, and not what it waits for.
code=
until [ -n "$code" ]; do
  wait "$troupe"
  now=$?
  if [ "$now" -le 128 ] || ! kill -0 "$troupe" 2>/dev/null; then code=$now; fi
done

again=
case "$asked/$code" in
  USR1/143) again='its time is over' ;;
  /75 | /76) [ "\${SLURM_RESTART_COUNT:-0}" -ge ${MOST_LIVES} ] || again="exit $code may pass" ;;
esac
if [ -n "$again" ]; then
  echo "troupe: $again; the job is queued again and goes on from its last checkpoint"
  scontrol requeue "$SLURM_JOB_ID" || echo "troupe: it is not queued again; go on with: npx troupe resume $run"
fi
exit "$code"
`;
}
