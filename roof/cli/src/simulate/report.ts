import { counted } from '@troupe/core';
import { formatBytes } from '@troupe/topology';
import type { Simulation, SimulationProgress } from 'troupe';
import { count, nats } from '../run/numbers.ts';

const REWRITE = '\r\u001b[2K';
/** Real milliseconds between two rewrites of the live line. */
const EVERY_MS = 200;

/** One line that follows a simulation on a terminal; nothing elsewhere. */
export function liveLine(isShown: boolean): {
  readonly show: (progress: SimulationProgress) => void;
  readonly close: () => void;
} {
  let [shownMs, shownEvents, isOpen] = [performance.now(), 0, false];
  return {
    show: ({ virtualMs, step, numEvents, struck }) => {
      const now = performance.now();
      if (!isShown || now - shownMs < EVERY_MS) return;
      // A new run starts to count again.
      const rate = (1000 * Math.max(0, numEvents - shownEvents)) / (now - shownMs);
      const faults =
        struck.length === 0
          ? ''
          : `, ${counted(struck.length, 'fault')} (${struck.at(-1)?.fault.kind ?? ''})`;
      const text = `virtual ${(virtualMs / 1000).toFixed(3)} s, step ${step}, ${count(Math.round(rate))} events/s${faults}`;
      process.stderr.write(`${REWRITE}${text.slice(0, (process.stderr.columns || 80) - 1)}`);
      [shownMs, shownEvents, isOpen] = [now, numEvents, true];
    },
    close: () => {
      if (isOpen) process.stderr.write(REWRITE);
      isOpen = false;
    },
  };
}

/** What became of a run, in a word. */
export function verdictOf({ result, violation }: Simulation): 'finished' | 'ended' | 'violated' {
  if (violation !== null) return 'violated';
  return result.exitCode === 0 ? 'finished' : 'ended';
}

/** What a run does not know of itself. */
export interface AboutRun {
  readonly seconds: number;
  /** False without arithmetic: what stands in its sums is no loss. */
  readonly hasLoss: boolean;
  /** Faults that did not strike, and why. */
  readonly missed: readonly string[];
  /** How rows were spread over experts without arithmetic: `even`, or the file that says it; null: routers chose. */
  readonly load: string | null;
}

/** One object for programs. */
export const jsonOf = (seed: number, run: Simulation, { seconds, hasLoss, missed, load }: AboutRun) => ({
  event: 'simulation',
  seed,
  verdict: verdictOf(run),
  exitCode: run.result.exitCode,
  step: run.result.step,
  loss: hasLoss ? run.result.loss : null,
  message: run.result.error?.message ?? null,
  virtualSeconds: run.virtualMs / 1000,
  numEvents: run.numEvents,
  eventsPerSecond: run.numEvents / seconds,
  traceHash: run.traceHash,
  faults: run.struck.map(({ atMs, fault, text }) => ({ struckMs: atMs, text, ...fault })),
  missed,
  load,
  deviceBytes: Math.max(0, ...run.memory.map(({ bytes }) => bytes)),
  violation: run.violation,
});

export type SimulationJson = ReturnType<typeof jsonOf>;

/** What a run without arithmetic was given, and what it found. */
function shapesLine(load: string, deviceBytes: number): string {
  const rows = load === 'even' ? 'even load' : `load of ${load}, all layers alike`;
  return `  ${rows}; ${formatBytes(deviceBytes)} on the fullest device`;
}

/** A run in a few lines for people. */
export function linesOf({ seed, ...run }: SimulationJson): readonly string[] {
  const { faults, violation, virtualSeconds, numEvents, eventsPerSecond, traceHash, loss } = run;
  const end =
    run.exitCode === 0
      ? `step ${run.step}, ${loss === null ? 'no loss without arithmetic' : `loss ${nats(loss)}`}`
      : (run.message ?? '');
  return [
    ...faults.map(({ struckMs, text }) => `  ${struckMs.toFixed(3)} ms: ${text}`),
    ...run.missed.map((text) => `  never: ${text}`),
    `seed ${seed}: ${run.verdict}, ${end}`,
    ...(violation === null
      ? []
      : [`  ${violation.checker} at ${violation.atMs.toFixed(3)} ms: ${violation.text}`]),
    ...(run.load === null ? [] : [shapesLine(run.load, run.deviceBytes)]),
    `  ${virtualSeconds.toFixed(3)} s of virtual time, ${count(numEvents)} events (${count(Math.round(eventsPerSecond))} a second), trace ${traceHash.slice(0, 16)}`,
  ];
}
