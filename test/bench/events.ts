import { openSimulator, type Simulation } from 'troupe';
import { median } from './median.ts';
import { weakTopology } from './scaling.ts';

/** How fast the simulator is for a cluster of one size. */
export interface EventsRow {
  readonly devices: number;
  readonly steps: number;
  /** Scheduled events and turns of one run, start and end among them. */
  readonly numEvents: number;
  /** Events in a second of processor time: in the fastest and in the middle run. */
  readonly best: number;
  readonly median: number;
  /** Processor time of a step in the fastest run, start and end shared out. */
  readonly stepSeconds: number;
  readonly memoryBytes: number;
}

const cases = {
  small: [{ devices: 2, steps: 3, rounds: 1 }],
  full: [
    { devices: 8, steps: 150, rounds: 5 },
    { devices: 64, steps: 5, rounds: 5 },
    { devices: 256, steps: 2, rounds: 3 },
  ],
} as const;

async function measure(
  run: () => Promise<Simulation>,
): Promise<{ readonly simulation: Simulation; readonly seconds: number }> {
  const before = process.cpuUsage();
  const simulation = await run();
  const { user, system } = process.cpuUsage(before);
  if (simulation.result.exitCode !== 0 || simulation.violation !== null)
    throw new Error(simulation.violation?.text ?? simulation.result.error?.message ?? 'a simulation failed');
  return { simulation, seconds: (user + system) / 1e6 };
}

/**
 * Events a second of the simulator, without arithmetic, all checkers on. Every run has the same seed, and must have the same hash: a
 * simulator that is fast and not deterministic is worth nothing.
 */
export async function benchEvents({
  size,
}: {
  readonly size: 'small' | 'full';
}): Promise<readonly EventsRow[]> {
  const rows: EventsRow[] = [];
  for (const { devices, steps, rounds } of cases[size]) {
    const simulator = await openSimulator(weakTopology(devices, steps), { shapesOnly: true });
    const run = async (): Promise<{ simulation: Simulation; seconds: number; numTurns: number }> => {
      let numTurns = 0;
      const measured = await measure(() =>
        simulator.run({ seed: 1, steps, faults: [] }, { observe: () => numTurns++ }),
      );
      return { ...measured, numTurns };
    };
    // The first one warms up, and says what the others must be.
    const first = await run();
    const numEvents = first.simulation.numEvents + first.numTurns;
    const seconds: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const { simulation, seconds: used } = await run();
      if (simulation.traceHash !== first.simulation.traceHash)
        throw new Error(
          `two runs of one seed differ: ${first.simulation.traceHash}, ${simulation.traceHash}`,
        );
      seconds.push(used);
    }
    const least = Math.min(...seconds);
    rows.push({
      devices,
      steps,
      numEvents,
      best: numEvents / least,
      median: numEvents / median(seconds),
      stepSeconds: least / steps,
      memoryBytes: process.memoryUsage().rss,
    });
  }
  return rows;
}

export function formatEvents(rows: readonly EventsRow[]): string {
  const lines = rows.map((row) =>
    [
      row.devices,
      row.steps,
      row.numEvents.toLocaleString('en'),
      Math.round(row.best).toLocaleString('en'),
      Math.round(row.median).toLocaleString('en'),
      row.stepSeconds.toFixed(3),
      (row.memoryBytes / 1e6).toFixed(0),
    ].join(' | '),
  );
  return [
    'Simulated devices, eight a machine, one sequence each, shapes only, all checkers on. Events are scheduled ones and turns of actors,',
    'start and end of a run among them; seconds are of processor time, on one core but for what the garbage collector does beside. Every',
    'run of a row had the same trace hash. Memory is of the process after the runs of the row and of those above.',
    '',
    '| devices | steps | events | events/s, best | events/s, median | s a step | MB |',
    '|---|---|---|---|---|---|---|',
    ...lines.map((line) => `| ${line} |`),
  ].join('\n');
}
