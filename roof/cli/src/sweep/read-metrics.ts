import { readFileSync } from 'node:fs';
import type { EvalEvent, StepEvent } from '@troupe/telemetry';

/** What the metrics of a run folder say of a training. */
export interface RunMetrics {
  /** By step; of a step that comes twice the later one. */
  readonly steps: ReadonlyMap<number, StepEvent>;
  /** The last one. */
  readonly evaluation: EvalEvent | null;
  /** All of them, by step. */
  readonly evaluations: ReadonlyMap<number, EvalEvent>;
}

/** Steps at the end over which a loss is smoothed: this share of them. */
const SMOOTHED = 0.05;

/** How many losses at the end of so many steps are taken together. */
export const smoothedSteps = (last: number): number => Math.max(1, Math.round(last * SMOOTHED));

/** Reads `metrics.jsonl`; a line that a killed process left unfinished is passed over. */
export function readMetrics(path: string): RunMetrics {
  const steps = new Map<number, StepEvent>();
  const evaluations = new Map<number, EvalEvent>();
  let evaluation: EvalEvent | null = null;
  for (const line of linesOf(path)) {
    const event = eventOf(line);
    if (event?.event === 'step') steps.set(event.step, event);
    if (event?.event === 'eval') evaluations.set((evaluation = event).step, event);
  }
  return { steps, evaluation, evaluations };
}

function linesOf(path: string): readonly string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function eventOf(line: string): StepEvent | EvalEvent | { readonly event: 'other' } | null {
  try {
    return JSON.parse(line) as StepEvent | EvalEvent;
  } catch {
    return null;
  }
}

/** Mean of the losses of the last steps; null when one of them is not a number. */
export function smoothedLoss(
  { steps }: RunMetrics,
  last: number,
): { readonly loss: number | null; readonly lossSteps: number } {
  const lossSteps = smoothedSteps(last);
  const losses = Array.from({ length: lossSteps }, (_, index) => steps.get(last - index)?.loss ?? Number.NaN);
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / lossSteps;
  return { loss: Number.isFinite(mean) ? mean : null, lossSteps };
}
