import { fileURLToPath } from 'node:url';
import { runEngine, type Engine, type EngineRun } from './engine-run.ts';
import { interleave } from './interleave.ts';
import { median } from './median.ts';

/** How the job is divided, and what it is compared with. */
interface Division {
  readonly name: string;
  readonly microbatches: 1 | 8;
  readonly set: readonly string[];
  /** The share of the baseline that the schedule leaves: 1 but for pipelines with a bubble. */
  readonly attainable?: number;
  /** Steps in front of those that are measured; default 2. Of balanced experts the first dealing, and of those they are compared with as many. */
  readonly warmUp?: number;
}

const two = 'machines=[{host: localhost, devices: ["cpu:0", "cpu:1"]}]';
const parallel = (text: string): string => `parallel={${text}}`;

/** 1F1B of two stages with eight microbatches is busy for 8 of 9 turns. */
const PIPELINED = 8 / 9;

/** The job on one process of two threads, and on two processes of one. Losses are equal in all of them but for tp. */
export const divisions: readonly Division[] = [
  { name: 'one process', microbatches: 1, set: [] },
  { name: 'one process', microbatches: 8, set: [] },
  { name: 'dp 2', microbatches: 8, set: [two, parallel('dp: 2, zero: 1')] },
  { name: 'ep 2', microbatches: 8, set: [two, parallel('dp: 2, ep: 2, zero: 1')], warmUp: 10 },
  {
    name: 'ep 2, balanced experts',
    microbatches: 8,
    set: [two, parallel('dp: 2, ep: 2, zero: 1, experts: balanced, rebalanceEvery: 9')],
    warmUp: 10,
  },
  { name: 'ep 2', microbatches: 1, set: [two, parallel('dp: 2, ep: 2, zero: 1')] },
  {
    name: 'ep 2, rows in four chunks',
    microbatches: 1,
    set: [two, parallel('dp: 2, ep: 2, zero: 1'), `wire.chunkBytes=${2 ** 20}`],
  },
  { name: 'pp 2', microbatches: 8, set: [two, parallel('pp: 2')], attainable: PIPELINED },
  { name: 'pp 2, zero-bubble', microbatches: 8, set: [two, parallel('pp: 2, pipeline: zero-bubble')] },
  { name: 'dp 2, ZeRO 3', microbatches: 8, set: [two, parallel('dp: 2, zero: 3')] },
  { name: 'tp 2', microbatches: 8, set: [two, parallel('tp: 2')] },
];

const bin = fileURLToPath(new URL('../../../roof/troupe/bin/troupe.js', import.meta.url));
const job = fileURLToPath(new URL('../../../test/bench/jobs/fine.yaml', import.meta.url));
const WARM_UP_STEPS = 2;

/** Natural routing; the balance loss within a sequence, which every schedule can have. */
const common = ['train.grains=16', 'model.moe.balance.scope=sequence', 'eval.every=0'];

function engineOf({ name, microbatches, set, warmUp = WARM_UP_STEPS }: Division, numSteps: number): Engine {
  const sets = [...common, `train.microbatches=${microbatches}`, ...set];
  return {
    name: `${name}, ${microbatches}`,
    ours: true,
    command: [
      process.execPath,
      bin,
      'launch',
      job,
      '--json',
      '--no-checkpoint',
      '--stop-after',
      String(warmUp + numSteps),
      ...sets.flatMap((each) => ['--set', each]),
    ],
  };
}

/** One division of the job, or why it did not run. */
export interface LayoutRow {
  readonly division: Division;
  readonly refused: string | null;
  readonly tokensPerSecond: number;
  readonly lastLoss: number;
  readonly bytesPerStep: number;
  readonly messagesPerStep: number;
  readonly maxExpertLoad: number;
}

/** Tokens of a step of the job. */
const TOKENS = 32 * 128;

export async function benchLayouts(options: {
  readonly size: 'small' | 'full';
  readonly rounds?: number;
}): Promise<readonly LayoutRow[]> {
  const isSmall = options.size === 'small';
  const numSteps = isSmall ? 1 : 8;
  const chosen = isSmall ? divisions.slice(0, 1) : divisions;
  const runs = await interleave(chosen, options.rounds ?? (isSmall ? 1 : 3), (division) =>
    runEngine(engineOf(division, numSteps)),
  );
  return runs.map(({ rival: division, results }) => {
    const refused = results.find((result) => 'refused' in result);
    const ran = results.filter((result): result is EngineRun => !('refused' in result));
    const { warmUp = WARM_UP_STEPS } = division;
    const steps = warmUp + numSteps;
    return {
      division,
      refused: refused?.refused ?? null,
      tokensPerSecond: TOKENS / median(ran.flatMap(({ stepSeconds }) => stepSeconds.slice(warmUp))),
      lastLoss: ran[0]?.lastLoss ?? Number.NaN,
      bytesPerStep: median(ran.map(({ wireBytes }) => wireBytes / steps)),
      messagesPerStep: median(ran.map(({ wireMessages }) => wireMessages / steps)),
      maxExpertLoad: ran[0]?.maxExpertLoad ?? Number.NaN,
    };
  });
}

/** A table: tokens a second, of the one process with as many microbatches, and what travels. */
export function formatLayouts(rows: readonly LayoutRow[]): string {
  const baseline = (microbatches: number): number =>
    rows.find(({ division }) => division.microbatches === microbatches)?.tokensPerSecond ?? Number.NaN;
  const line = (row: LayoutRow): string => {
    const { name, microbatches, attainable = 1 } = row.division;
    if (row.refused !== null)
      return `| ${name} | ${microbatches} | ${row.refused.split('\n')[0]} | | | | | |`;
    const share = row.tokensPerSecond / baseline(microbatches);
    return [
      `| ${name} | ${microbatches} | ${row.tokensPerSecond.toFixed(0)} | ${share.toFixed(3)}`,
      `${(share / attainable).toFixed(3)} | ${(row.bytesPerStep / 2 ** 20).toFixed(1)}`,
      `${row.messagesPerStep.toFixed(0)} | ${row.lastLoss.toFixed(6)} |`,
    ].join(' | ');
  };
  return [
    'The job "fine" with natural routing, two cores: one process with two threads, or two workers with one. Rounds take turns; medians of steps.',
    '',
    '| division | microbatches | tokens/s | of one process | of what the bubble leaves | MiB a step | messages a step | last loss |',
    '|---|---|---|---|---|---|---|---|',
    ...rows.map(line),
  ].join('\n');
}
