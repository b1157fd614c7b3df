import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PeakMemory, processorSecondsOf } from './process-tree.ts';

/** A program that trains a job. Its lines of JSON, one an event, are those of `troupe launch --json`; other lines are ignored. */
export interface Engine {
  readonly name: string;
  /** True for what this repository builds. */
  readonly ours: boolean;
  readonly command: readonly [program: string, ...args: string[]];
  readonly environment?: Readonly<Record<string, string>>;
}

/** What one run of an engine showed, all of it from outside: when lines came, and what the kernel counted. */
export interface EngineRun {
  /** From the end of one step to the end of the next; the first from its opening. */
  readonly stepSeconds: readonly number[];
  /** From the start of the process to the opening of step 1. */
  readonly startupSeconds: number;
  /** Processor time of all its processes from the end of the first step to that of the last, a step; 0 where there is no /proc. */
  readonly stepProcessorSeconds: number;
  /** High-water marks of all its processes together. */
  readonly peakBytes: number;
  readonly device: string;
  /** Rows of the busiest expert over the mean, the largest of the layers, at the end of the run. */
  readonly maxExpertLoad: number;
  readonly lastLoss: number;
  /** Of the whole run; NaN where an engine does not say. */
  readonly wireBytes: number;
  readonly wireMessages: number;
}

/** Why an engine did not run, in its own words. */
export interface EngineRefusal {
  readonly refused: string;
}

/** The fields that are looked at, of any event. */
interface EngineEvent {
  readonly event: string;
  readonly device?: string;
  readonly loss?: number;
  readonly maxExpertLoad?: number;
  readonly message?: string;
  readonly wireBytes?: number;
  readonly wireMessages?: number;
}

/**
 * Runs an engine in a fresh process until it ends, and takes its times from the arrival of its lines.
 *
 * Its files go to a folder of its own: what a compiler kept of an earlier run must not shorten a start.
 */
export async function runEngine(engine: Engine): Promise<EngineRun | EngineRefusal> {
  const scratch = await mkdtemp(join(tmpdir(), 'tb-'));
  try {
    return await runIn(scratch, engine);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function runIn(scratch: string, engine: Engine): Promise<EngineRun | EngineRefusal> {
  const [program, ...args] = engine.command;
  const startedMs = performance.now();
  const child = spawn(program, args, {
    cwd: scratch,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...engine.environment, TMPDIR: scratch },
  });
  const peak = new PeakMemory(child.pid ?? 0);
  const endsMs: number[] = [];
  const used: number[] = [];
  let seen = {
    openedMs: Number.NaN,
    device: '',
    maxExpertLoad: Number.NaN,
    lastLoss: Number.NaN,
    wireBytes: Number.NaN,
    wireMessages: Number.NaN,
  };
  let words = '';
  createInterface({ input: child.stdout }).on('line', (line) => {
    const nowMs = performance.now();
    if (!line.startsWith('{')) return;
    const event = JSON.parse(line) as EngineEvent;
    peak.look();
    if (event.event === 'start') seen = { ...seen, openedMs: nowMs, device: event.device ?? '' };
    if (event.event === 'step') {
      endsMs.push(nowMs);
      used.push(processorSecondsOf(child.pid ?? 0));
      seen = { ...seen, lastLoss: event.loss ?? Number.NaN };
    }
    const { wireBytes, wireMessages } = event;
    if (wireBytes !== undefined && wireMessages !== undefined) seen = { ...seen, wireBytes, wireMessages };
    if (event.event === 'error') words = event.message ?? '';
    if (event.maxExpertLoad !== undefined) seen = { ...seen, maxExpertLoad: event.maxExpertLoad };
  });
  const complaints: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => complaints.push(line));
  return new Promise((resolve) => {
    child.on('error', (error) => {
      words = error.message;
    });
    child.on('close', (code) => {
      const { bytes } = peak.stop();
      if (code === 0 && endsMs.length > 0) {
        const stepSeconds = endsMs.map((endMs, i) => (endMs - (endsMs[i - 1] ?? seen.openedMs)) / 1000);
        const startupSeconds = (seen.openedMs - startedMs) / 1000;
        const stepProcessorSeconds = ((used.at(-1) ?? 0) - (used[0] ?? 0)) / Math.max(1, used.length - 1);
        resolve({ ...seen, stepSeconds, stepProcessorSeconds, startupSeconds, peakBytes: bytes });
      } else resolve({ refused: words || lastError(complaints) || `ended with ${code ?? 'a signal'}` });
    });
  });
}

/** The line of a program's complaints that says most: the last that names an error, else the last of all. */
function lastError(lines: readonly string[]): string {
  const told = lines.filter((line) => line.trim() !== '');
  return told.findLast((line) => /error/iu.test(line)) ?? told.at(-1) ?? '';
}
