import { deepStrictEqual } from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadTopology, startCluster } from 'troupe';
import type { Lab } from '../lab/lab.ts';
import type { Machine } from '../lab/machine.ts';
import { Talk } from '../lab/talk.ts';

/** Where each machine has the data of a run, and the first one its run folder. */
const WORK = '/home/troupe/work';

/** Sentences with a rule in them, of which a small model learns something in a dozen steps. */
const corpus = (): string => {
  const nouns = ['actor', 'gate', 'expert', 'stage', 'store', 'feeder'];
  const verbs = ['sends', 'counts', 'keeps', 'adds', 'reads'];
  return Array.from(
    { length: 300 },
    (_, line) => `The ${nouns[line % 6]} ${verbs[(line * 3) % 5]} what the ${nouns[(line * 5) % 6]} has.\n\n`,
  ).join('');
};

/** A model of milliseconds a step, and one replica on one device unless a row says otherwise. */
const topology = (steps: number): string => `troupe: 1
name: lab
model:
  vocab: 257
  layers: 2
  dModel: 32
  heads: 2
  seqLen: 16
  ffn: { kind: swiglu, dFf: 48 }
  moe: { experts: 4, topK: 2 }
data: { text: text.txt, tokenizer: { kind: bytes }, holdout: 0.1 }
train: { steps: ${steps}, batch: 8, grains: 4, optimizer: { lr: 3e-3 } }
checkpoint: { dir: run, every: 5 }
eval: { every: 5, batches: 1 }
`;

type Figures = readonly (number | string)[];

/** What must not depend on machines, layout or losses of either, of one event. */
function figuresOf(event: Readonly<Record<string, unknown>>): readonly Figures[] {
  const {
    event: name,
    step,
    loss,
    gradNorm,
  } = event as { event: string; step: number; loss: number; gradNorm: number };
  if (name === 'step') return [['step', step, loss, gradNorm]];
  return name === 'eval' ? [['eval', step, loss]] : [];
}

const undisturbed = new Map<number, Promise<readonly Figures[]>>();

/** The figures of that many steps in one process, computed once. */
export function expectedFigures(steps: number): Promise<readonly Figures[]> {
  const found = undisturbed.get(steps) ?? computed(steps);
  undisturbed.set(steps, found);
  return found;
}

async function computed(steps: number): Promise<readonly Figures[]> {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-lab-'));
  try {
    writeFileSync(join(folder, 'text.txt'), corpus());
    writeFileSync(join(folder, 'run.yaml'), topology(steps));
    const cluster = await startCluster(
      loadTopology(join(folder, 'run.yaml'), { set: [`data.text=${folder}/text.txt`] }),
    );
    const figures: Figures[] = [];
    for await (const event of cluster.events()) figures.push(...figuresOf({ ...event }));
    const { error } = await cluster.result;
    if (error !== null) throw error;
    return figures;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export interface LabRunOptions {
  readonly steps: number;
  /** Devices of each machine. Default: two. */
  readonly devices?: number;
  readonly set: readonly string[];
}

/** `troupe launch --launcher ssh` on the first machine of a lab, over all of them. */
export class LabRun {
  readonly talk: Talk;
  readonly #steps: number;

  constructor(lab: Lab, { steps, devices = 2, set }: LabRunOptions) {
    this.#steps = steps;
    for (const machine of lab.machines) giveData(machine);
    writeFileSync(lab.at(0).path(`${WORK}/run.yaml`), topology(steps));
    const ids = Array.from({ length: devices }, (_, index) => `cpu:${index}`).join(', ');
    const machines = lab.machines.map(({ name }) => `{host: ${name}, devices: [${ids}]}`).join(', ');
    const settings = [`machines=[${machines}]`, `launcher.ssh.workdir=${WORK}`, ...set];
    const command = ['launch', `${WORK}/run.yaml`, '--launcher', 'ssh', '--json', '--run-dir', `${WORK}/run`];
    this.talk = new Talk(lab.at(0), [...command, ...settings.flatMap((each) => ['--set', each])]);
  }

  /** When this step was reported, by the clock of this process; rejects when the run ends before. */
  async step(number: number, limitMs = 60_000): Promise<number> {
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
    deepStrictEqual(this.#figures(), await expectedFigures(this.#steps));
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

  get faults(): readonly string[] {
    return this.talk.said.flatMap(({ line }) => (line['event'] === 'fault' ? [String(line['message'])] : []));
  }

  /** The last report of a step or evaluation counts, as it does in a run folder: what was lost is done again. */
  #figures(): readonly Figures[] {
    const last = new Map<string, Figures>();
    for (const { line } of this.talk.said)
      for (const figures of figuresOf(line)) last.set(`${figures[0]} ${figures[1]}`, figures);
    return [...last.values()];
  }
}

/** What a machine needs before an agent runs there; a machine that had no power has lost it. */
export function giveData(machine: Machine): void {
  mkdirSync(machine.path(WORK), { recursive: true });
  writeFileSync(machine.path(`${WORK}/text.txt`), corpus(), { mode: 0o644 });
}

/** Waits until no machine has a process of the run, and says how long that took; throws after the limit. */
export async function emptied(lab: Lab, limitMs: number): Promise<number> {
  const startMs = performance.now();
  for (;;) {
    const left = lab.machines.flatMap((machine) => machine.processes());
    const tookMs = performance.now() - startMs;
    if (left.length === 0) return tookMs;
    if (tookMs > limitMs) throw new Error(`${left.length} processes are left: ${left[0]?.command}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
