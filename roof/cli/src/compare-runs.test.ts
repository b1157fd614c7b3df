import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { runCliHere } from './testing/cli-here.ts';
import { jsonLines } from './testing/cli-process.ts';
import { workplace } from './testing/workplace.ts';

const TOKENS = 128;

interface Losses {
  readonly numSteps: number;
  /** Of a step, from 1. */
  readonly loss: (step: number) => number | null;
  /** Steps between evaluations; 0: none. */
  readonly evalEvery: number;
}

/** Metrics as a run writes them, with a line that a killed process left unfinished. */
function metricsOf({ numSteps, loss, evalEvery }: Losses): string {
  const lines: object[] = [{ event: 'start', device: 'reference' }];
  for (let step = 1; step <= numSteps; step++) {
    lines.push({ event: 'step', step, loss: loss(step), tokens: TOKENS, tokensPerSecond: 1000 });
    if (evalEvery > 0 && step % evalEvery === 0)
      lines.push({ event: 'eval', step, loss: (loss(step) ?? 0) + 0.5, tokens: 64 });
  }
  return `${lines.map((each) => JSON.stringify(each)).join('\n')}\n{"event":"st`;
}

interface CompareJson {
  readonly loss: string;
  readonly runs: readonly { readonly name: string; readonly points: readonly Record<string, number>[] }[];
  readonly reached: readonly {
    readonly name: string;
    readonly target: string;
    readonly at: { readonly updates: number; readonly tokens: number; readonly flops: number | null } | null;
    readonly share: number | null;
  }[];
  readonly warnings: readonly string[];
}

test.serial(
  'compare: updates until one run is as good as another, over tokens and FLOPs, with a picture',
  async (t) => {
    const { folder: cwd, path } = workplace(t);
    const run = (name: string, losses: Losses): void => {
      mkdirSync(path(name), { recursive: true });
      writeFileSync(path(join(name, 'metrics.jsonl')), metricsOf(losses));
    };
    // Fast falls by a hundredth a step, slow by half of that: slow ends where fast was at half of its updates.
    run('fast', { numSteps: 100, loss: (step) => 5 - step / 100, evalEvery: 20 });
    run('slow', { numSteps: 100, loss: (step) => (step === 7 ? null : 5 - step / 200), evalEvery: 20 });
    writeFileSync(path('fast.yaml'), readFileSync(path('small.yaml')));
    cpSync(
      fileURLToPath(new URL('../../../test/fixtures/checkpoint-0.2/tied', import.meta.url)),
      path('slow'),
      {
        recursive: true,
      },
    );

    const people = await runCliHere(['compare', 'fast', 'slow', '--out', 'curves.svg'], { cwd });
    t.is(people.code, 0, people.stderr);
    t.regex(people.stdout, /^loss {2}held-out loss, nats a token$/m);
    t.regex(people.stdout, /^ +fast +100 +12\.8k +\d\.\d\de\+\d+ +4\.5000$/m);
    t.regex(people.stdout, /^ +fast +100 +50 \(× 0\.50\)$/m);
    t.regex(people.stdout, /^ +slow +never +100$/m);
    t.is(people.stderr, '');
    const svg = readFileSync(path('curves.svg'), 'utf8');
    t.regex(svg, /^<svg [\s\S]*<\/svg>\n$/);
    t.notRegex(svg, /NaN|undefined|Infinity/);
    t.is(svg.match(/<circle/g)?.length, 3 * 2 * 5, 'three charts of two runs with five evaluations');

    const ask = async (...args: readonly string[]): Promise<CompareJson> =>
      jsonLines(
        (await runCliHere(['compare', ...args, '--json'], { cwd })).stdout,
      )[0] as unknown as CompareJson;
    const train = await ask('fast', 'slow', '--loss', 'train');
    t.is(train.loss, 'train');
    t.is(train.runs[1]?.points.length, 99, 'a step whose loss is no number is left out');
    // Means of the last five steps lag behind by two.
    const reached = train.reached.find(({ name, target }) => name === 'fast' && target === 'slow');
    t.is(reached?.at?.updates, 51);
    t.is(reached?.at?.tokens, 51 * TOKENS);
    t.is(reached?.share, 0.51);
    const own = train.reached.find(({ name, target }) => name === 'fast' && target === 'fast');
    t.true(Math.abs((own?.at?.flops ?? 0) / (reached?.at?.flops ?? 1) - 100 / 51) < 1e-6);

    run('bare', { numSteps: 10, loss: () => 3, evalEvery: 0 });
    const bare = await ask('fast', 'bare');
    t.is(bare.loss, 'train', 'one was never evaluated');
    t.is(bare.reached.find(({ name }) => name === 'bare')?.at?.flops, null);
    t.regex(bare.warnings.join(), /^the FLOPs of bare are not known: .*no checkpoint/);
  },
);

test.serial(
  'compare: rows of a sweep are means of seeds, and what is within their spread is no difference',
  async (t) => {
    const { folder: cwd, path } = workplace(t);
    const part = (task: string, language: string, loss: number) => ({ task, language, loss, tokens: 100 });
    const row = (name: string, heldOutLoss: number, ...heldOutParts: readonly object[]): string =>
      JSON.stringify({ name, hash: '0', heldOutLoss, heldOutParts });
    const lines = [
      row('moe-s1', 2.99, part('translation', 'en-de', 2.5), part('denoising', 'de', 1)),
      row('moe-s2', 3.01, part('translation', 'en-de', 2.7), part('denoising', 'de', 1)),
      row('dense-s1', 3.49, part('translation', 'en-de', 3.5), part('denoising', 'de', 1)),
      row('dense-s2', 3.51, part('translation', 'en-de', 3.5), part('denoising', 'de', 1)),
      row('late/s1/on', 3.005, part('translation', 'en-de', 2.61)),
      JSON.stringify({ name: 'broken-s1', hash: '0', failed: 'no memory', exitCode: 5 }),
    ];
    writeFileSync(path('runs.jsonl'), `${lines.join('\n')}\n`);
    for (const [name, gain] of [
      ['moe-s1', 0.02],
      ['moe-s2', 0.02],
      ['dense-s1', 0.01],
      ['dense-s2', 0.01],
      ['late/s1/on', 0.03],
    ] as const) {
      mkdirSync(path(join('runs.jsonl.runs', name)), { recursive: true });
      const losses = { numSteps: 40, loss: (step: number) => 5 - gain * step, evalEvery: 10 };
      writeFileSync(path(join('runs.jsonl.runs', name, 'metrics.jsonl')), metricsOf(losses));
    }
    const { code, stdout, stderr } = await runCliHere(['compare', 'runs.jsonl', '--out', 'c.svg'], { cwd });
    t.is(code, 0, stderr);
    t.regex(stdout, /^spread of seeds {2}a standard deviation of 0\.0141; /m);
    t.regex(stdout, /^ +moe +2 +3\.0000$/m);
    t.regex(stdout, /^ +dense +2 +3\.5000 +\+0\.5000 +worse$/m);
    t.regex(stdout, /^ +late\/on +1 +3\.0050 +of other tasks: see those below$/m);
    t.regex(stdout, /^ +en-de +2\.6000 +3\.5000 > +2\.6100 =$/m);
    t.regex(stdout, /^ +de +1\.0000 +1\.0000 =$/m);
    t.regex(stdout, /^ +moe +40 +20 \(× 0\.50\)$/m);
    t.is(
      readFileSync(path('c.svg'), 'utf8').match(/<circle/g)?.length,
      2 * 2 * 4,
      'two models, FLOPs unknown; the one of other tasks is on another scale',
    );

    const refused = async (sentence: RegExp, ...args: readonly string[]): Promise<void> => {
      const result = await runCliHere(['compare', ...args], { cwd });
      t.is(result.code, 2, result.stderr);
      t.regex(result.stderr, sentence);
    };
    await refused(/--loss train goes with folders of runs/, 'runs.jsonl', '--loss', 'train');
    writeFileSync(path('other.jsonl'), row('alone-s1', 3));
    await refused(/no folder of these runs is there any more/, 'other.jsonl', '--out', 'd.svg');
    writeFileSync(path('other.jsonl'), '{"name": ');
    await refused(/other\.jsonl:1: .* is not JSON; each line is one run/, 'other.jsonl');
    writeFileSync(path('other.jsonl'), '{"name": "x"}');
    await refused(/other\.jsonl has no row with a held-out loss/, 'other.jsonl');
  },
);

test.serial('compare: what is no run, has no evaluation or no loss is one sentence', async (t) => {
  const { folder: cwd, path } = workplace(t);
  const refused = async (sentence: RegExp, ...args: readonly string[]): Promise<void> => {
    const { code, stderr } = await runCliHere(['compare', ...args], { cwd });
    t.is(code, 2, stderr);
    t.regex(stderr, sentence);
  };
  await refused(/'none' holds no metrics\.jsonl; name the folder of a run/, 'none');
  await refused(/missing required argument 'runs'/);
  for (const name of ['empty', 'plain']) mkdirSync(path(name));
  writeFileSync(path('empty/metrics.jsonl'), '');
  writeFileSync(path('plain/metrics.jsonl'), metricsOf({ numSteps: 3, loss: () => 3, evalEvery: 0 }));
  await refused(/empty has no step with a loss/, 'plain', 'empty');
  await refused(/plain was never evaluated; compare --loss train/, 'plain', '--loss', 'held-out');
});
