import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { RunEvent, StepEvent } from '@troupe/telemetry';
import { median } from './median.ts';

const root = new URL('../../../', import.meta.url);
const bin = fileURLToPath(new URL('packages/cli/bin/troupe.js', root));
const job = fileURLToPath(new URL('test/bench/jobs/coarse.yaml', root));

/** A layout of the job that is timed. */
interface Layout {
  readonly name: string;
  readonly overrides: readonly string[];
}

const oneWorker = [
  'parallel.dp=1',
  'parallel.ep=1',
  'parallel.zero=0',
  'machines=[{host: localhost, devices: ["cpu:0/threads=2"]}]',
];
const twoWorkers = [
  'parallel.dp=2',
  'parallel.ep=2',
  'parallel.zero=1',
  'machines=[{host: localhost, devices: ["cpu:0", "cpu:1"]}]',
];
const balanced = ['model.moe.router.choice=balanced'];

const layouts: readonly Layout[] = [
  { name: 'one worker, two threads', overrides: oneWorker },
  { name: 'one worker, two threads, forced balance', overrides: [...oneWorker, ...balanced] },
  { name: 'two workers of one thread, ep 2, forced balance', overrides: [...twoWorkers, ...balanced] },
  { name: 'two workers of one thread, ep 2', overrides: twoWorkers },
];

/** What one run of the shipped command showed. */
interface Run {
  readonly steps: readonly StepEvent[];
  /** From the start of the process to the opening of the first step, seconds. */
  readonly startupSeconds: number;
  readonly device: string;
}

/** Runs `troupe launch --json` as a user would and reads its lines. */
function run(overrides: readonly string[], numSteps: number): Promise<Run> {
  const startedMs = performance.now();
  const set = overrides.flatMap((override) => ['--set', override]);
  const child = spawn(
    process.execPath,
    [bin, 'launch', job, '--json', '--no-checkpoint', '--stop-after', String(numSteps), ...set],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const steps: StepEvent[] = [];
  let startupSeconds = Number.NaN;
  let device = '';
  createInterface({ input: child.stdout }).on('line', (line) => {
    const event = JSON.parse(line) as RunEvent;
    if (event.event === 'start') {
      startupSeconds = (performance.now() - startedMs) / 1000;
      device = event.device;
    } else if (event.event === 'step') steps.push(event);
  });
  return new Promise((resolve, reject) => {
    child.on('exit', (code) =>
      code === 0 && steps.length === numSteps
        ? resolve({ steps, startupSeconds, device })
        : reject(new Error(`launch ended with ${code} after ${steps.length} steps`)),
    );
  });
}

/** A line of the page of results. */
export interface StepRow {
  readonly layout: string;
  readonly device: string;
  readonly tokensPerSecond: number;
  readonly tokensPerSecondMin: number;
  readonly tokensPerSecondMax: number;
  /** Share of the f32 peak measured on the same cores; null without the addon. */
  readonly mfu: number | null;
  readonly kernelShare: number;
  readonly maxExpertLoad: number;
  readonly startupSeconds: number;
}

const WARM_UP_STEPS = 2;

/**
 * Times training steps of the job "coarse" through the shipped command, layouts interleaved.
 *
 * @param size - `small`: one round of few steps, to see that it runs; `full`: the figures that count
 */
export async function benchStep({ size }: { readonly size: 'small' | 'full' }): Promise<readonly StepRow[]> {
  const [numRounds, numSteps] = size === 'full' ? [3, 10] : [1, 3];
  const runs = new Map<string, Run[]>();
  for (let round = 0; round < numRounds; round++) {
    for (const { name, overrides } of layouts) {
      runs.set(name, [...(runs.get(name) ?? []), await run(overrides, numSteps)]);
    }
  }
  return layouts.map(({ name }) => {
    const all = runs.get(name) ?? [];
    const steps = all.flatMap((each) => each.steps.slice(Math.min(WARM_UP_STEPS, numSteps - 1)));
    const speeds = steps.map((step) => step.tokensPerSecond);
    const shares = steps.flatMap((step) => (step.mfu === null ? [] : [step.mfu]));
    return {
      layout: name,
      device: all[0]?.device ?? '',
      tokensPerSecond: median(speeds),
      tokensPerSecondMin: Math.min(...speeds),
      tokensPerSecondMax: Math.max(...speeds),
      mfu: shares.length === 0 ? null : median(shares),
      kernelShare: median(steps.map((step) => step.kernelShare)),
      maxExpertLoad: median(steps.map((step) => step.maxExpertLoad)),
      startupSeconds: median(all.map((each) => each.startupSeconds)),
    };
  });
}

export function formatStep(rows: readonly StepRow[]): string {
  const base = rows[0]?.tokensPerSecond ?? Number.NaN;
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  const lines = rows.map((row) =>
    [
      row.layout,
      `${row.tokensPerSecond.toFixed(0)} (${row.tokensPerSecondMin.toFixed(0)}–${row.tokensPerSecondMax.toFixed(0)})`,
      (row.tokensPerSecond / base).toFixed(2),
      row.mfu === null ? '–' : percent(row.mfu),
      percent(1 - row.kernelShare),
      row.maxExpertLoad.toFixed(2),
      row.startupSeconds.toFixed(2),
    ].join(' | '),
  );
  return [
    `Device: ${rows[0]?.device ?? ''}. Job "coarse", 4,096 tokens a step, grains 8.`,
    '',
    '| layout | tokens/s, median (min–max) | ratio | MFU | outside kernels | max load / mean | start-up s |',
    '|---|---|---|---|---|---|---|',
    ...lines.map((line) => `| ${line} |`),
  ].join('\n');
}
