import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';

/** Sentences of a small grammar: real enough to be learnt, the same everywhere. */
function text(): string {
  const nouns = ['actor', 'gate', 'expert', 'stage', 'store', 'feeder'];
  const verbs = ['sends', 'counts', 'keeps', 'adds', 'waits for', 'reads'];
  const lines: string[] = [];
  for (let line = 0; line < 240; line++) {
    const at = (words: readonly string[], stride: number): string =>
      words[(line * stride + (line >> 3)) % words.length] ?? '';
    lines.push(`The ${at(nouns, 5)} ${at(verbs, 7)} what the ${at(nouns, 11)} ${at(verbs, 13)}.`, '');
  }
  return lines.join('\n');
}

/** A model that takes a step in milliseconds, on two workers. */
const topology = (steps: number): string => `troupe: 1
name: small
model:
  vocab: 257
  layers: 2
  dModel: 32
  heads: 2
  seqLen: 32
  ffn: { kind: swiglu, dFf: 64 }
  moe: { experts: 4, topK: 2 }
data: { text: text.txt, tokenizer: { kind: bytes }, holdout: 0.1 }
train: { steps: ${steps}, batch: 4, grains: 4, optimizer: { lr: 3e-3 } }
parallel: { dp: 2, ep: 2 }
machines:
  - { host: localhost, devices: [cpu:0, cpu:1] }
checkpoint: { dir: run, every: 2, keep: 9 }
eval: { every: 4, batches: 1 }
`;

export interface Workplace {
  readonly folder: string;
  readonly path: (name: string) => string;
}

/** A folder of its own with `small.yaml` (8 steps), `endless.yaml` and their text; removed after the test. */
export function workplace(t: ExecutionContext): Workplace {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-cli-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const path = (name: string): string => join(folder, name);
  writeFileSync(path('text.txt'), text());
  writeFileSync(path('small.yaml'), topology(8));
  writeFileSync(
    path('endless.yaml'),
    topology(100_000).replace('every: 2, keep: 9', 'every: 0').replace('every: 4, batches: 1', 'every: 0'),
  );
  return { folder, path };
}
