import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { measurePeak } from '@troupe/kernels';
import type { Bar } from './bar-chart.ts';
import { benchJob, jobNames, type BenchJob, type JobName, type Precision } from './bench-job.ts';
import { runEngine, type Engine, type EngineRefusal, type EngineRun } from './engine-run.ts';
import { interleave } from './interleave.ts';
import { median } from './median.ts';
import { publishedEngines, runPublished, type PublishedRun } from './published-engines.ts';
import { NUM_THREADS, pythonEngines } from './python-engines.ts';
import type { Python } from './python.ts';
import type { Section } from './results-page.ts';
import { writeStart } from './shared-start.ts';
import { troupeEngines } from './troupe-engines.ts';

export interface StepOptions {
  readonly size: 'small' | 'full';
  readonly jobs?: readonly JobName[];
  readonly precisions?: readonly Precision[];
  /** Only engines whose names match. */
  readonly only?: RegExp;
  /** Fresh processes of each engine; default 3, 1 if small. */
  readonly rounds?: number;
  readonly python: Python | null;
  /** Folder with `bench_peers.py`. */
  readonly peers?: string;
}

/** A line of the page of results; null: the engine refused, and `refused` says why. */
export interface StepRow {
  readonly engine: string;
  readonly ours: boolean;
  readonly refused: string | null;
  readonly tokensPerSecond: number;
  readonly tokensPerSecondMin: number;
  readonly tokensPerSecondMax: number;
  /** Share of the f32 peak of both cores, measured in the same run; also for bf16. */
  readonly mfu: number;
  readonly peakBytes: number;
  readonly startupSeconds: number;
  readonly maxExpertLoad: number;
  readonly lastLoss: number;
}

/** One job in one precision. */
export interface StepRace {
  readonly job: BenchJob;
  readonly precision: Precision;
  readonly numRounds: number;
  readonly numSteps: number;
  readonly peakFlops: number;
  readonly rows: readonly StepRow[];
  readonly notes: readonly string[];
}

/** Steps of a run before those that count. */
const WARM_UP_STEPS = 2;

interface Rival {
  readonly name: string;
  readonly ours: boolean;
  readonly run: () => Promise<EngineRun | PublishedRun | EngineRefusal>;
}

const noFigures = {
  tokensPerSecond: Number.NaN,
  tokensPerSecondMin: Number.NaN,
  tokensPerSecondMax: Number.NaN,
  mfu: Number.NaN,
  peakBytes: Number.NaN,
  startupSeconds: Number.NaN,
  maxExpertLoad: Number.NaN,
  lastLoss: Number.NaN,
};

/**
 * Races training steps of Troupe, through the shipped command, against the engines of the Python that was given: fresh
 * processes, in turn, the same job, the same threads. Each pair of job and precision is one race.
 */
export async function benchStep(options: StepOptions): Promise<readonly StepRace[]> {
  const races: StepRace[] = [];
  for (const precision of options.precisions ?? ['f32']) {
    for (const name of options.jobs ?? jobNames) races.push(await race(options, name, precision));
  }
  return races;
}

async function race(options: StepOptions, name: JobName, precision: Precision): Promise<StepRace> {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-start-'));
  try {
    return await raceIn(folder, options, name, precision);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function raceIn(
  folder: string,
  options: StepOptions,
  name: JobName,
  precision: Precision,
): Promise<StepRace> {
  const { size, python, peers, only } = options;
  const [defaultRounds, numSteps] = size === 'full' ? [3, 10] : [1, 3];
  const numRounds = options.rounds ?? defaultRounds;
  const job = benchJob(name, size);
  const ofPython =
    python === null ? null : pythonEngines(python, job, precision, numSteps, await writeStart(job, folder));
  const timed = (engine: Engine): Rival => ({ ...engine, run: () => runEngine(engine) });
  const rivals: Rival[] = [
    ...troupeEngines(job, precision, numSteps).map(timed),
    ...(ofPython?.engines ?? []).map(timed),
    ...(python === null || peers === undefined ? [] : publishedEngines[precision]).map((engine) => ({
      name: `${engine} (given script)`,
      ours: false,
      run: () => runPublished(peers ?? '', python as Python, job, engine),
    })),
  ].filter((rival) => only === undefined || only.test(rival.name));

  // Before every run, and the largest taken: a busy moment would flatter every engine.
  const peaks: number[] = [];
  const results = await interleave(rivals, numRounds, (rival) => {
    peaks.push(measurePeak(NUM_THREADS));
    return rival.run();
  });
  const peakFlops = Math.max(...peaks);
  const notes =
    python === null
      ? ['No --python was given, so nothing else was raced.']
      : (ofPython?.missing ?? []).map(
          (engine) => `${engine}: its package is not installed in the Python given.`,
        );
  const rows = results.map(({ rival, results }) => rowOf(rival, results, job, peakFlops));
  const apart = precision === 'f32' ? rows.flatMap((row) => apartFrom(row, rows)) : [];
  return { job, precision, numRounds, numSteps, peakFlops, rows, notes: [...notes, ...apart] };
}

/** Engines that start alike and compute alike end within this of our loss in f32. */
const SAME_LOSS = 1e-3;

/** A sentence about a rival that started as we did and ends elsewhere; a given script draws its own start. */
function apartFrom(
  { engine, ours, refused, lastLoss }: StepRow,
  rows: readonly StepRow[],
): readonly string[] {
  const first = rows.find((row) => row.ours && row.refused === null);
  if (ours || refused !== null || first === undefined || engine.endsWith('(given script)')) return [];
  const difference = lastLoss - first.lastLoss;
  if (Math.abs(difference) <= SAME_LOSS) return [];
  return [
    `${engine} ends with a loss of ${lastLoss.toFixed(4)}, ${first.engine} with ${first.lastLoss.toFixed(4)}: from the same start they should agree to ${SAME_LOSS}, so they do not train the same model.`,
  ];
}

function rowOf(
  { name, ours }: Rival,
  results: readonly (EngineRun | PublishedRun | EngineRefusal)[],
  job: BenchJob,
  peakFlops: number,
): StepRow {
  const runs = results.flatMap((each) => ('refused' in each ? [] : [each]));
  const refusal = results.find((each) => 'refused' in each);
  if (runs.length === 0) return { engine: name, ours, refused: refusal?.refused ?? '', ...noFigures };
  const speeds = runs.flatMap((run) => speedsOf(run, job.tokensPerStep));
  const tokensPerSecond = median(speeds);
  return {
    engine: name,
    ours,
    refused: null,
    tokensPerSecond,
    tokensPerSecondMin: Math.min(...speeds),
    tokensPerSecondMax: Math.max(...speeds),
    mfu: (job.flopsPerToken * tokensPerSecond) / peakFlops,
    peakBytes: Math.max(...runs.map((run) => run.peakBytes)),
    startupSeconds: median(runs.map((run) => run.startupSeconds)),
    maxExpertLoad: median(runs.map((run) => run.maxExpertLoad)),
    lastLoss: median(runs.map((run) => run.lastLoss)),
  };
}

/** Tokens per second of each step after the warm-up; of a given script, all that it prints. */
function speedsOf(run: EngineRun | PublishedRun, tokensPerStep: number): readonly number[] {
  if (!('stepSeconds' in run)) return [run.tokensPerSecondMin, run.tokensPerSecond, run.tokensPerSecondMax];
  const first = Math.min(WARM_UP_STEPS, run.stepSeconds.length - 1);
  return run.stepSeconds.slice(first).map((seconds) => tokensPerStep / seconds);
}

const gibibytes = (bytes: number): string => (bytes / 2 ** 30).toFixed(2);

/** A race as a section of the page, with its chart. */
export function stepSection({
  job,
  precision,
  numRounds,
  numSteps,
  peakFlops,
  rows,
  notes,
}: StepRace): Section {
  const first = rows.find((row) => row.ours && row.refused === null);
  const base = first?.tokensPerSecond ?? Number.NaN;
  const ourLoss = first?.lastLoss ?? Number.NaN;
  const lines = rows.map((row) =>
    row.refused === null
      ? [
          row.engine,
          `${row.tokensPerSecond.toFixed(0)} (${row.tokensPerSecondMin.toFixed(0)}–${row.tokensPerSecondMax.toFixed(0)})`,
          Number.isNaN(base) ? '–' : (base / row.tokensPerSecond).toFixed(2),
          `${(100 * row.mfu).toFixed(1)} %`,
          gibibytes(row.peakBytes),
          row.startupSeconds.toFixed(2),
          row.maxExpertLoad.toFixed(2),
          row.lastLoss.toFixed(4),
          Number.isNaN(ourLoss) ? '–' : (row.lastLoss - ourLoss).toExponential(1),
        ].join(' | ')
      : `${row.engine} | refused: ${row.refused.replaceAll(/\s+/gu, ' ').replaceAll('|', '\\|')} | – | – | – | – | – | – | –`,
  );
  const text = [
    `${job.tokensPerStep.toLocaleString('en')} tokens a step, ${(job.flopsPerToken / 1e6).toFixed(1)} MFLOP a token, ${NUM_THREADS} threads together. ${numRounds} rounds of fresh processes in turn, ${numSteps} steps each, the first ${WARM_UP_STEPS} not counted; a step is the time between two lines of output. MFU: share of the f32 peak of both cores, ${(peakFlops / 1e9).toFixed(0)} GFLOP/s, also for bf16. Memory: high-water marks of all processes of a run, added up. Start-up: from the start of the process to the opening of step 1. Load and loss: at the end of a run. All but a given script start from the same parameters and read the same tokens, so in f32 their losses agree to ${SAME_LOSS}; even load is other routing, hence another loss.`,
    '',
    "| engine | tokens/s, median (min–max) | Troupe / this | MFU | peak memory GiB | start-up s | busiest expert / mean | loss | loss less the first row's |",
    '|---|---|---|---|---|---|---|---|---|',
    ...lines.map((line) => `| ${line} |`),
    ...(notes.length === 0 ? [] : ['', ...notes.map((note) => `- ${note}`)]),
  ];
  const bars = rows
    .filter((row) => row.refused === null)
    .map((row): Bar => ({
      label: row.engine,
      ours: row.ours,
      values: [
        { value: row.tokensPerSecond, least: row.tokensPerSecondMin, most: row.tokensPerSecondMax },
        { value: row.peakBytes / 2 ** 30 },
      ],
    }));
  return {
    title: `Training steps, ${job.name}, ${precision}`,
    text: text.join('\n'),
    chart: {
      file: `step-${job.name}-${precision}.svg`,
      title: `Job ${job.name}, ${precision}`,
      panels: [
        { title: 'Tokens per second (more is better)', digits: 0 },
        { title: 'Peak memory, GiB (less is better)', digits: 2 },
      ],
      bars,
    },
  };
}
