import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { BenchJob, Precision } from './bench-job.ts';
import type { Python } from './python.ts';

/** What a run of `bench_peers.py` printed about itself. */
export interface PublishedRun {
  readonly tokensPerSecond: number;
  readonly tokensPerSecondMin: number;
  readonly tokensPerSecondMax: number;
  /** To the end of step 1, not to its opening. */
  readonly startupSeconds: number;
  readonly peakBytes: number;
  readonly lastLoss: number;
  readonly maxExpertLoad: number;
}

interface PrintedRun {
  readonly tok_s?: number;
  readonly tok_s_min?: number;
  readonly tok_s_max?: number;
  readonly startup_s?: number;
  readonly peak_rss_mb?: number;
  readonly loss_last?: number;
  readonly max_over_mean_load?: number;
  readonly error?: string;
}

/** The engines of an independent script of the same jobs that were its fastest: they show that our rivals are no straw men. */
export const publishedEngines: Readonly<Record<Precision, readonly string[]>> = {
  f32: ['torch-best', 'torch-tuned-compile', 'hf-grouped_mm-tuned'],
  bf16: ['torch-best-bf16'],
};

/** Runs one engine of `bench_peers.py` in a folder that the user gave; the figures are the script's own. */
export function runPublished(
  folder: string,
  python: Python,
  job: BenchJob,
  engine: string,
): Promise<PublishedRun | { readonly refused: string }> {
  const script = join(folder, 'bench_peers.py');
  const child = spawn(python.path, [script, '--job', job.name, '--engine', engine], {
    env: { ...process.env, PEERS_PY: python.path },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return new Promise((resolve) => {
    child.on('error', (error) => resolve({ refused: error.message }));
    child.on('close', (code) => {
      const line = text.trim().split('\n').at(-1) ?? '';
      if (!line.startsWith('{')) return resolve({ refused: `${script} ended with ${code ?? 'a signal'}` });
      const printed = JSON.parse(line) as PrintedRun;
      if (printed.error !== undefined) return resolve({ refused: printed.error });
      return resolve({
        tokensPerSecond: printed.tok_s ?? Number.NaN,
        tokensPerSecondMin: printed.tok_s_min ?? Number.NaN,
        tokensPerSecondMax: printed.tok_s_max ?? Number.NaN,
        startupSeconds: printed.startup_s ?? Number.NaN,
        peakBytes: (printed.peak_rss_mb ?? Number.NaN) * 2 ** 20,
        lastLoss: printed.loss_last ?? Number.NaN,
        maxExpertLoad: printed.max_over_mean_load ?? Number.NaN,
      });
    });
  });
}
