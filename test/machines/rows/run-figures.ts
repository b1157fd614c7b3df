import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadTopology, startCluster } from 'troupe';

/** Sentences with a rule in them, of which a small model learns something in a dozen steps. */
const corpus = (): string => {
  const nouns = ['actor', 'gate', 'expert', 'stage', 'store', 'feeder'];
  const verbs = ['sends', 'counts', 'keeps', 'adds', 'reads'];
  return Array.from(
    { length: 300 },
    (_, line) =>
      `The ${nouns[line % 6]} ${verbs[(line * 3) % 5]} what the ${nouns[(line * 5) % 6]} has, ${line} times.\n\n`,
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

/** Writes the topology of a run, and beside it what it reads. */
export function writeRun(folder: string, steps: number): void {
  writeData(folder);
  writeFileSync(join(folder, 'run.yaml'), topology(steps), { mode: 0o644 });
}

/** What every machine of a run needs beside the program. */
export const writeData = (folder: string): void =>
  writeFileSync(join(folder, 'text.txt'), corpus(), { mode: 0o644 });

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

/** Figures of the events of a run. The last report of a step or evaluation counts, as it does in a run folder: what was lost is done again. */
export function lastFigures(events: readonly Readonly<Record<string, unknown>>[]): readonly Figures[] {
  const last = new Map<string, Figures>();
  for (const event of events)
    for (const figures of figuresOf(event)) last.set(`${figures[0]} ${figures[1]}`, figures);
  return [...last.values()];
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
    writeRun(folder, steps);
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
