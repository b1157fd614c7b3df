import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { corpus } from './corpus.ts';
import { commitSeed } from './commit-seed.ts';
import { againLine, summaryOf } from './report.ts';
import { clusters, sweepCase, sweepSeed, type SweepRun } from './sweep-run.ts';

const usage = `npm run test:sim -- [--seeds N] [--base SEED] [--jobs N]
  --seeds N     how many; default 200
  --base SEED   the first one; default: from the commit, so that every commit draws others
  --jobs N      processes; default 2
  --seed SEED [--cluster N]   one run again, with what it drew
`;

const number = (name: string, text: string | undefined, otherwise: number): number => {
  if (text === undefined) return otherwise;
  if (/^\d+$/u.test(text)) return Number(text);
  process.stderr.write(`test:sim: --${name}: found ${text}, expected a whole number\n${usage}`);
  return process.exit(2);
};

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    base: { type: 'string' },
    jobs: { type: 'string' },
    seed: { type: 'string' },
    cluster: { type: 'string' },
    part: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

/** Every seed of [base, base + count) that is `part` modulo `jobs`. */
async function play(
  base: number,
  count: number,
  part: number,
  jobs: number,
  take: (run: SweepRun) => void,
): Promise<void> {
  for (let index = part; index < count; index += jobs) take(await sweepSeed(base + index));
}

function tell(run: SweepRun): void {
  if (run.verdict === 'wrong') process.stdout.write(`${againLine(run)}\n`);
}

async function sweep(base: number, count: number, jobs: number): Promise<readonly SweepRun[]> {
  const runs: SweepRun[] = [];
  const startedMs = performance.now();
  const take = (run: SweepRun): void => {
    runs.push(run);
    tell(run);
    if (process.stderr.isTTY)
      process.stderr.write(
        `\r${runs.length} of ${count} seeds, ${((performance.now() - startedMs) / 1000).toFixed(0)} s `,
      );
  };
  const self = fileURLToPath(import.meta.url);
  await Promise.all(
    Array.from({ length: jobs }, async (_, part) => {
      const args = ['--base', `${base}`, '--seeds', `${count}`, '--jobs', `${jobs}`, '--part', `${part}`];
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

if (values.help) {
  process.stdout.write(usage);
} else if (values.seed !== undefined) {
  const seed = number('seed', values.seed, 0);
  const run = await sweepSeed(seed, number('cluster', values.cluster, seed % clusters.length));
  process.stdout.write(
    `${[run.cluster, ...run.faults.map((fault) => `  ${fault}`), `${run.verdict} ${run.why}`.trim(), `trace ${run.traceHash}`].join('\n')}\n`,
  );
  process.exitCode = run.verdict === 'wrong' ? 1 : 0;
} else {
  const base = number('base', values.base, commitSeed());
  const count = number('seeds', values.seeds, 200);
  const jobs = Math.max(1, number('jobs', values.jobs, 2));
  if (values.part !== undefined) {
    await play(base, count, number('part', values.part, 0), jobs, (run) => process.send?.(run));
    process.disconnect();
  } else {
    process.stdout.write(
      `seeds ${base} to ${base + count - 1} on ${clusters.length} clusters, and ${corpus.length} of the corpus\n`,
    );
    const old = [];
    for (const each of corpus) old.push(await sweepCase(each));
    old.forEach(tell);
    const runs = await sweep(base, count, jobs);
    process.stdout.write(`${summaryOf(runs).join('\n')}\n`);
    const others = await mixtures();
    process.exitCode = others > 0 || [...runs, ...old].some(({ verdict }) => verdict === 'wrong') ? 1 : 0;
  }
}
