import { deepStrictEqual } from 'node:assert/strict';
import type { Lab } from '../lab/lab.ts';
import { SHARED } from '../lab/scripts.ts';
import { Talk } from '../lab/talk.ts';
import { expectedFigures, lastFigures, writeData, writeRun } from './run-figures.ts';

/** Where each machine has the data of a run, and the first one its run folder, unless a disk is shared. */
const WORK = '/home/troupe/work';

export interface LabRunOptions {
  readonly steps: number;
  /** How many machines of the lab, from the first on, are of the run. Default: all. */
  readonly machines?: number;
  /** Devices of each machine. Default: two. */
  readonly devices?: number | readonly number[];
  readonly set: readonly string[];
  /** Whether all of it lies on a disk that the machines share. Default: on each a copy. */
  readonly isShared?: boolean;
}

const idsOf = (devices: number | readonly number[], machine: number): string => {
  const length = typeof devices === 'number' ? devices : devices[machine];
  return Array.from({ length: length ?? 0 }, (_, index) => `cpu:${index}`).join(', ');
};

/** `troupe launch --launcher ssh` on the first machine of a lab, over all of them. */
export class LabRun {
  readonly talk: Talk;
  readonly #steps: number;

  constructor(lab: Lab, { steps, machines: count, devices = 2, set, isShared = false }: LabRunOptions) {
    this.#steps = steps;
    const work = isShared ? SHARED : WORK;
    for (const machine of lab.machines) writeData(machine.path(work));
    writeRun(lab.at(0).path(work), steps);
    const machines = lab.machines
      .slice(0, count)
      .map(({ name, index }) => `{host: ${name}, devices: [${idsOf(devices, index)}]}`)
      .join(', ');
    const settings = [
      `machines=[${machines}]`,
      `data.text=${work}/text.txt`,
      `launcher.ssh.workdir=${work}`,
      ...set,
    ];
    const command = ['launch', `${work}/run.yaml`, '--launcher', 'ssh', '--json', '--run-dir', `${work}/run`];
    this.talk = new Talk(lab.at(0), [...command, ...settings.flatMap((each) => ['--set', each])]);
  }

  /** When this step was reported, by the clock of this process; rejects when the run ends before. */
  async step(number: number, limitMs = 180_000): Promise<number> {
    const said = await this.talk.until(({ line }) => line['event'] === 'step' && line['step'] === number, {
      limitMs,
    });
    if (said !== null) return said.atMs;
    throw new Error(`no step ${number} within ${limitMs} ms: ${this.complaint}`);
  }

  /** Waits for the end, which has to be that of an undisturbed run, number for number. */
  async assertCurve(limitMs = 120_000): Promise<void> {
    const code = await this.talk.ended(limitMs);
    if (code !== 0) throw new Error(`it ended with ${code}: ${this.complaint}`);
    const figures = lastFigures(this.talk.said.map(({ line }) => line));
    deepStrictEqual(figures, await expectedFigures(this.#steps));
  }

  /** Waits until a fault is told whose sentence is like this. */
  async fault(like: RegExp, limitMs: number): Promise<void> {
    const said = await this.talk.until(
      ({ line }) => line['event'] === 'fault' && like.test(String(line['message'])),
      { limitMs },
    );
    if (said === null) throw new Error(`no such fault within ${limitMs} ms: ${this.complaint}`);
  }

  /** Why it ended, as it was told. */
  get lastWords(): string {
    const { line } = this.talk.said.findLast((said) => said.line['event'] === 'error') ?? { line: {} };
    const { message = '' } = line as { readonly message?: string };
    return message;
  }

  get complaint(): string {
    const lines = this.talk.said.filter(({ line }) => line['event'] !== 'step').slice(-4);
    return `${lines.map(({ line }) => JSON.stringify(line)).join('\n')}\n${this.talk.stderr.slice(-4000)}`;
  }

  /** Milliseconds between steps as they were reported: the median, and the longest. */
  get pace(): { readonly medianMs: number; readonly longestMs: number } {
    const at = this.talk.said.filter(({ line }) => line['event'] === 'step').map(({ atMs }) => atMs);
    const gaps = at
      .slice(1)
      .map((ms, index) => ms - (at[index] ?? ms))
      .sort((a, b) => a - b);
    return { medianMs: gaps[gaps.length >> 1] ?? NaN, longestMs: gaps.at(-1) ?? NaN };
  }

  /** How many steps were reported, repeated ones too. */
  get numSteps(): number {
    return this.talk.said.filter(({ line }) => line['event'] === 'step').length;
  }

  get faults(): readonly string[] {
    return this.talk.said.flatMap(({ line }) => (line['event'] === 'fault' ? [String(line['message'])] : []));
  }
}

/** Waits until no machine has a process of the run, and says how long that took; throws after the limit. */
export async function emptied(lab: Pick<Lab, 'machines'>, limitMs: number): Promise<number> {
  const startMs = performance.now();
  for (;;) {
    // A server of ssh whose client has no power waits for it as long as TCP does; that is not of the run.
    const left = lab.machines
      .flatMap((machine) => machine.processes())
      .filter(({ command }) => !command.startsWith('sshd: '));
    const tookMs = performance.now() - startMs;
    if (left.length === 0) return tookMs;
    if (tookMs > limitMs) throw new Error(`${left.length} processes are left: ${left[0]?.command}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
