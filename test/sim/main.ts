import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { corpus } from './corpus.ts';
import { commitSeed } from './commit-seed.ts';
import { presetStep } from './preset-step.ts';
import { againLine, summaryOf } from './report.ts';
import { clusters } from './clusters.ts';
import { lossSummary, sweepLosses, type LostRun } from './lost-machines.ts';
import { sweepCase, sweepSeed, sweepState, type SweepRun } from './sweep-run.ts';

const usage = `npm run test:sim -- [--seeds N] [--states N] [--base SEED] [--jobs N]
  --seeds N     how many; default 200
  --states N    how many with a loss in a given state; default 1000
  --base SEED   the first one of both; default: from the commit, so that every commit draws others
  --jobs N      processes; default 2
  --seed SEED [--cluster N]   one run again, with what it drew
  --preset NAME one step of it in shapes only, against its plan
  --state SEED  the same of a loss in a given state
  --losses N    how many that lose machines for good; default 300; with --loss SEED one of them again
`;

/** Sweeps, by what their cases are drawn from. */
const sweeps = { seeds: (seed: number) => sweepSeed(seed), states: sweepState } as const;
type Sweep = keyof typeof sweeps;

const number = (name: string, text: string | undefined, otherwise: number): number => {
  if (text === undefined) return otherwise;
  if (/^\d+$/u.test(text)) return Number(text);
  process.stderr.write(`test:sim: --${name}: found ${text}, expected a whole number\n${usage}`);
  return process.exit(2);
};

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    states: { type: 'string' },
    state: { type: 'string' },
    losses: { type: 'string' },
    loss: { type: 'string' },
    preset: { type: 'string' },
    of: { type: 'string' },
    base: { type: 'string' },
    jobs: { type: 'string' },
    seed: { type: 'string' },
    cluster: { type: 'string' },
    part: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

/** Every case of [base, base + count) that is `part` modulo `jobs`. */
async function play(
  name: Sweep,
  { base, count, part, jobs }: Readonly<Record<'base' | 'count' | 'part' | 'jobs', number>>,
  take: (run: SweepRun) => void,
): Promise<void> {
  for (let index = part; index < count; index += jobs) take(await sweeps[name](base + index));
}

function tell(run: SweepRun): void {
  if (run.verdict === 'wrong') process.stdout.write(`${againLine(run)}\n`);
}

async function sweep(name: Sweep, base: number, count: number, jobs: number): Promise<readonly SweepRun[]> {
  const runs: SweepRun[] = [];
  const startedMs = performance.now();
  const take = (run: SweepRun): void => {
    runs.push(run);
    tell(run);
    if (process.stderr.isTTY)
      process.stderr.write(
        `\r${runs.length} of ${count} ${name}, ${((performance.now() - startedMs) / 1000).toFixed(0)} s `,
      );
  };
  const self = fileURLToPath(import.meta.url);
  await Promise.all(
    Array.from({ length: jobs }, async (_, part) => {
      const args = Object.entries({ of: name, base, [name]: count, jobs, part }).flatMap(([key, value]) => [
        `--${key}`,
        `${value}`,
      ]);
      const child = fork(self, args, { serialization: 'advanced' });
      child.on('message', (run) => take(run as SweepRun));
      const [code] = (await once(child, 'exit')) as [number | null];
      if (code !== 0) throw new Error(`a process of the sweep ended with ${code ?? 'a signal'}`);
    }),
  );
  if (process.stderr.isTTY) process.stderr.write('\r');
  return runs.toSorted((a, b) => a.seed - b.seed);
}

/** Every mixture of layouts without faults, in a process of its own; its exit code. */
async function mixtures(): Promise<number> {
  const child = fork(fileURLToPath(new URL('../mixtures/main.js', import.meta.url)));
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

/** The lists of mixtures of which tests run a third, and what kernels conform to on a body that few have, whole; the exit code. */
async function lists(): Promise<number> {
  const files = [
    'test/mixtures/*.test.ts',
    'test/golden/*.test.ts',
    'test/integration/launch-*.test.ts',
    'test/integration/*recovery.test.ts',
    'test/integration/{buddies,moving-experts}.test.ts',
    'test/bench/{simulated,prediction}.test.ts',
    'roof/cli/src/{launch-from,profile}.test.ts',
    'kernels/reference/reference.test.ts',
    'kernels/tfjs/tfjs.test.ts',
  ];
  const child = spawn('npx', ['ava', ...files], {
    cwd: fileURLToPath(new URL('../../../', import.meta.url)),
    env: { ...process.env, TROUPE_MIXTURES: 'all', TROUPE_CONFORMANCE: 'all', TROUPE_LONG: '1' },
    stdio: 'inherit',
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

/** Runs that lose machines for good, one after the other; how many were wrong. */
async function losses(base: number, count: number): Promise<number> {
  const runs: LostRun[] = [];
  for (let seed = base; seed < base + count; seed++) {
    const run = await sweepLosses(seed);
    runs.push(run);
    if (run.isWrong) process.stdout.write(`--loss ${seed}: ${run.outcome}\n`);
  }
  if (count > 0) process.stdout.write(`${lossSummary(runs)}\n`);
  return runs.filter(({ isWrong }) => isWrong).length;
}

/** Runs a step of a preset, and says what came of it; its exit code. */
async function tellPreset(name: string): Promise<number> {
  const { devices, parameters, bytes, wallSeconds, wrong } = await presetStep(name);
  const sizes = `${(parameters / 1e9).toFixed(1)}e9 parameters on ${devices} devices, ${(bytes / 2 ** 30).toFixed(1)} GiB on the fullest`;
  const lines = [`${name}: ${sizes}, ${wallSeconds.toFixed(0)} s`, ...wrong];
  process.stdout.write(`${lines.join('\n')}\n`);
  return wrong.length > 0 ? 1 : 0;
}

if (values.help) {
  process.stdout.write(usage);
} else if (values.preset !== undefined) {
  process.exitCode = await tellPreset(values.preset);
} else if (values.loss !== undefined) {
  const { faults, outcome, isWrong } = await sweepLosses(number('loss', values.loss, 0));
  process.stdout.write(`${[...faults.map((fault) => JSON.stringify(fault)), outcome].join('\n')}\n`);
  process.exitCode = isWrong ? 1 : 0;
} else if (values.seed !== undefined || values.state !== undefined) {
  const seed = number('seed', values.seed ?? values.state, 0);
  const run =
    values.state === undefined
      ? await sweepSeed(seed, number('cluster', values.cluster, seed % clusters.length))
      : await sweepState(seed);
  process.stdout.write(
    `${[run.cluster, ...run.faults.map((fault) => `  ${fault}`), `${run.verdict} ${run.why}`.trim(), `trace ${run.traceHash}`].join('\n')}\n`,
  );
  process.exitCode = run.verdict === 'wrong' ? 1 : 0;
} else {
  const base = number('base', values.base, commitSeed());
  const counts = {
    seeds: number('seeds', values.seeds, 200),
    states: number('states', values.states, 1000),
  };
  const jobs = Math.max(1, number('jobs', values.jobs, 2));
  if (values.of === 'seeds' || values.of === 'states') {
    const part = number('part', values.part, 0);
    await play(values.of, { base, count: counts[values.of], part, jobs }, (run) => process.send?.(run));
    process.disconnect();
  } else {
    process.stdout.write(
      `${counts.seeds} seeds and ${counts.states} states from ${base} on ${clusters.length} clusters, and ${corpus.length} of the corpus\n`,
    );
    const all = [];
    for (const each of corpus) all.push(await sweepCase(each));
    all.forEach(tell);
    for (const name of ['seeds', 'states'] as const) {
      const runs = await sweep(name, base, counts[name], jobs);
      process.stdout.write(`${[`by ${name}:`, ...summaryOf(runs)].join('\n')}\n`);
      all.push(...runs);
    }
    const wrongLosses = await losses(base, number('losses', values.losses, 300));
    const others = wrongLosses + (await mixtures()) + (await lists());
    const step = await tellPreset('z-code-10b');
    process.exitCode = others > 0 || step > 0 || all.some(({ verdict }) => verdict === 'wrong') ? 1 : 0;
  }
}
