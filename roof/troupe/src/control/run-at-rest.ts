import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { checkpointFolders } from '@troupe/checkpoint';
import type { DoneEvent, ErrorEvent, RunEvent, StepEvent } from '@troupe/telemetry';
import { RunMissingError } from '../errors.ts';
import { endOfFile } from '../ports/file-end.ts';
import { fileStorage } from '../ports/file-storage.ts';

/** What the folder of a run says that does not run. */
export interface RunAtRest {
  /** Last step that was reported; null: none. */
  readonly step: number | null;
  readonly loss: number | null;
  /** Newest checkpoint, `step-000300`; null: none. */
  readonly checkpoint: string | null;
  /** How it ended; null: it left no word, as a process does that is killed. */
  readonly exitCode: number | null;
  /** Why, where that was an error. */
  readonly reason: string | null;
  /** When its last event was written, ISO 8601; null: there are none. */
  readonly at: string | null;
}

/** Of the end of metrics: far more than the last events. */
const METRICS_BYTES = 2 ** 20;

/** What a folder of a run holds, one of which is enough to know it by. */
const marks = /^(?:metrics\.jsonl|journal|control\.json|logs|writer-\d+\.lock)$/u;

/** @throws {RunMissingError} TROUPE_RUN_MISSING for what is no folder of a run */
export async function readRunAtRest(folder: string): Promise<RunAtRest> {
  mustHoldRun(folder);
  const metrics = join(folder, 'metrics.jsonl');
  const end = endOf(endOfFile(metrics, METRICS_BYTES));
  const [newest] = checkpointFolders(await fileStorage(folder).list(''));
  return {
    ...end,
    checkpoint: newest?.name ?? null,
    at: existsSync(metrics) ? statSync(metrics).mtime.toISOString() : null,
  };
}

/** @throws {RunMissingError} TROUPE_RUN_MISSING */
export function mustHoldRun(folder: string): void {
  if (!existsSync(folder)) throw new RunMissingError(folder, 'there is no such folder', 'run');
  const hint = 'name the folder of a run, which launch prints';
  if (!statSync(folder).isDirectory()) throw new RunMissingError(folder, `it is a file; ${hint}`, 'run');
  if (!readdirSync(folder).some((name) => marks.test(name) || /^step-\d{6,}$/u.test(name)))
    throw new RunMissingError(folder, hint, 'run');
}

/** What the last events of metrics say; those of an earlier launch do not say how this one ended. */
export function endOf(text: string): Omit<RunAtRest, 'checkpoint' | 'at'> {
  let step: StepEvent | null = null;
  let error: ErrorEvent | null = null;
  let done: DoneEvent | null = null;
  for (const event of eventsOf(text)) {
    if (event.event === 'start') [error, done] = [null, null];
    if (event.event === 'step') [step, error, done] = [event, null, null];
    if (event.event === 'error') error = event;
    if (event.event === 'done') done = event;
  }
  return {
    step: step?.step ?? done?.steps ?? null,
    loss: step?.loss ?? done?.loss ?? null,
    exitCode: done?.exitCode ?? null,
    reason: error?.message ?? null,
  };
}

/** A line that a killed process left unfinished is passed over. */
function eventsOf(text: string): readonly RunEvent[] {
  return text.split('\n').flatMap((line) => {
    try {
      return [JSON.parse(line) as RunEvent];
    } catch {
      return [];
    }
  });
}
