import { deepStrictEqual, match } from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Lab } from '../lab/lab.ts';
import { PROGRAM, SHARED } from '../lab/scripts.ts';
import { Slurm, slurmPackages } from '../lab/slurm.ts';
import { expectedFigures, lastFigures, writeRun } from './run-figures.ts';
import { milliseconds, seconds, type Row } from './row.ts';

/** Where the user works: on the disk of all machines. */
const WORK = `${SHARED}/work`;
const JOB = '1';
const RUN = `${WORK}/run-${JOB}`;
const layout = ['parallel={dp: 4, ep: 2, zero: 1}', 'recovery.buddies=true', 'recovery.waitSeconds=60'];

/** A run as a job of a lab's Slurm, from the script that `launch --dry-run` prints. */
class SlurmRun {
  readonly slurm: Slurm;
  readonly #lab: Lab;
  readonly #steps: number;

  private constructor(lab: Lab, slurm: Slurm, steps: number) {
    this.#lab = lab;
    this.slurm = slurm;
    this.#steps = steps;
  }

  static async submit(lab: Lab, steps: number): Promise<SlurmRun> {
    const slurm = await Slurm.open(lab);
    const run = new SlurmRun(lab, slurm, steps);
    const folder = lab.at(0).path(WORK);
    mkdirSync(folder);
    chmodSync(folder, 0o777);
    writeRun(folder, steps);
    const set = [`machines={count: ${lab.machines.length}, devices: [cpu:0, cpu:1]}`, ...layout];
    const command = [process.execPath, `${PROGRAM}/roof/troupe/bin/troupe.js`, 'launch', 'run.yaml'];
    const options = [
      '--launcher',
      'slurm',
      '--dry-run',
      '--run-dir',
      'run',
      ...set.flatMap((each) => ['--set', each]),
    ];
    const script = await slurm.says(['env', '-C', WORK, ...command, ...options]);
    writeFileSync(lab.at(0).path(`${WORK}/job`), script);
    match(await slurm.says(['env', '-C', WORK, 'sbatch', 'job']), new RegExp(`job ${JOB}$`, 'u'));
    return run;
  }

  /** Waits until a step of the run is on the disk. */
  async step(number: number): Promise<void> {
    await this.#until(
      () => this.events.some(({ event, step }) => event === 'step' && step === number),
      `step ${number}`,
    );
  }

  /** Waits until a loss has been recovered from. */
  async recovered(): Promise<void> {
    await this.#until(() => this.events.some(({ event }) => event === 'recovered'), 'recovery');
  }

  /** Waits until the job has ended, and compares what is in the run folder. */
  async assertCurve(): Promise<void> {
    await this.#until(
      () => this.events.some(({ event, exitCode }) => event === 'done' && exitCode === 0),
      'the end',
    );
    await this.slurm.until(['squeue', '-h', '-o', '%t'], (said) => said === '');
    deepStrictEqual(lastFigures(this.events), await expectedFigures(this.#steps));
  }

  get events(): readonly Readonly<Record<string, unknown>>[] {
    return this.#read(`${RUN}/metrics.jsonl`)
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
  }

  /** What the job has printed. */
  get output(): string {
    return this.#read(`${WORK}/troupe-${JOB}.out`);
  }

  #read(file: string): string {
    try {
      return readFileSync(this.#lab.at(0).path(file), 'utf8');
    } catch {
      // Nothing was written yet.
      return '';
    }
  }

  async #until(met: () => boolean, what: string, limitMs = 120_000): Promise<void> {
    for (const endMs = performance.now() + limitMs; !met();) {
      const state = await this.slurm.says(['squeue', '-h', '-o', '%t %r']);
      if (performance.now() > endMs || state === '')
        if (!met())
          throw new Error(`no ${what} (job: ${state === '' ? 'ended' : state}): ${this.output.slice(-3000)}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

const lab = { machines: 2, ssh: false, sharedDisk: true } as const;

const wholeRow: Row = {
  name: 'slurm: the printed script runs over the nodes of its job',
  lab,
  needs: slurmPackages,
  play: async (opened) => {
    const startMs = performance.now();
    const run = await SlurmRun.submit(opened, 10);
    await run.assertCurve();
    for (const machine of opened.machines)
      deepStrictEqual(
        machine.processes().filter(({ command }) => command.includes('troupe')),
        [],
      );
    return `10 steps on 2 nodes × 2 devices as in one process, ${seconds(performance.now() - startMs)} with Slurm's start`;
  },
};

const againRow: Row = {
  name: 'slurm: before its time is over a job saves, is queued again and goes on',
  lab,
  needs: slurmPackages,
  play: async (opened) => {
    const run = await SlurmRun.submit(opened, 40);
    await run.step(7);
    const toldMs = performance.now();
    // As Slurm does by --signal=B:USR1@…
    await run.slurm.says(['scancel', '--batch', '--signal=USR1', JOB]);
    await run.slurm.until(['squeue', '-h', '-o', '%t'], (said) => said === 'PD');
    const savedMs = performance.now() - toldMs;
    match(run.output, /its time is over; the job is queued again/u);
    // Slurm waits two minutes before a job's next life; nothing else would be learnt from them.
    await run.slurm.says(['scontrol', 'update', `JobId=${JOB}`, 'StartTime=now']);
    await run.assertCurve();
    return `40 steps as in one process, with ${milliseconds(savedMs)} from the signal to the queue`;
  },
};

const lostRow: Row = {
  name: 'slurm: an agent that is killed gets a new step, and the run goes on',
  lab,
  needs: slurmPackages,
  play: async (opened) => {
    const run = await SlurmRun.submit(opened, 40);
    await run.step(7);
    const { stdout } = await opened.at(1).run(['pgrep', '-o', '-f', 'troupe.js agent']);
    match(stdout, /^[1-9]\d*\n$/u);
    // By the machine's own user and its own numbers: nothing beyond the machine can be meant.
    const killedMs = performance.now();
    deepStrictEqual((await opened.at(1).run(['kill', '-KILL', stdout.trim()])).code, 0);
    await run.recovered();
    const recoveredMs = performance.now() - killedMs;
    await run.assertCurve();
    return `40 steps as in one process; it went on ${milliseconds(recoveredMs)} after the kill`;
  },
};

export const slurmRunRows: readonly Row[] = [wholeRow, againRow, lostRow];
